/** Many `connect`s at once against an account that allows 3 StartSession per second: all get in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectMany } from '../support/many.ts';

const COUNT = 60;
/** The machine may be slow with so many processes; time limits are not what is tested. */
const PATIENT = ['--connect-timeout', '2m'];

test(`${COUNT} at once all get in, with hardly a throttled call`, async () => {
  const { all, state } = await connectMany({ count: COUNT, perSecond: 3, args: PATIENT });
  const failed = all.filter(({ status, banner }) => status !== 0 || !banner.startsWith('SSH-2.0-'));
  assert.deepEqual(failed, []);
  assert.equal(all.map(({ stderr }) => stderr).join(''), '');
  const starts = state.calls['ssm:StartSession'];
  assert.equal(starts?.succeeded, COUNT);
  assert.ok(starts.throttled <= COUNT / 10, `${starts.throttled} throttled`);
  const left = state.sessions.filter(({ endedAt }) => endedAt === undefined);
  assert.deepEqual(left, []);
});
