/** Many `connect`s at once against an account that allows 3 StartSession per second: all get in. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import { connectMany } from '../support/many.ts';

const COUNT = 60;
/** The machine may be slow with so many processes; time limits are not what is tested. */
const PATIENT = ['--connect-timeout', '2m'];

let emulator: Emulator;
before(async () => {
  emulator = await startEmulator({ nodes: 20 });
  emulator.controls.changeFaults({ api: { throttles: { 'ssm:StartSession': { perSecond: 3, burst: 3 } } } });
});
after(() => emulator.close());

test(`${COUNT} at once all get in, with hardly a throttled call`, async () => {
  const { all, calls } = await connectMany(emulator, { count: COUNT, args: PATIENT });
  const failed = all.filter(({ status, banner }) => status !== 0 || !banner.startsWith('SSH-2.0-'));
  assert.deepEqual(failed, []);
  assert.equal(all.map(({ stderr }) => stderr).join(''), '');
  const starts = calls['ssm:StartSession'];
  assert.equal(starts?.succeeded, COUNT);
  assert.ok(starts.throttled <= COUNT / 10, `${starts.throttled} throttled`);
  // Those who waited for their turns let others ask for them; nobody asked twice.
  assert.ok((calls['ec2:DescribeInstances']?.calls ?? NaN) <= COUNT);
  assert.deepEqual(
    emulator.controls.state().sessions.filter(({ endedAt }) => endedAt === undefined),
    [],
  );
});
