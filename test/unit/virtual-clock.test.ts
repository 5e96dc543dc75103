/** The clock that tests run on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../support/virtual-clock.ts';

test('timers run in order of time, then in order of asking, and time stands at each', () => {
  const clock = new VirtualClock();
  const start = clock.now();
  const seen: string[] = [];
  const note = (name: string) => (): void => void seen.push(`${name}@${clock.now() - start}`);
  clock.setTimer(20, note('late'));
  clock.setTimer(10, note('a'));
  clock.setTimer(10, note('b'));
  clock.setTimer(5, note('cancelled')).cancel();
  clock.advance(15);
  assert.deepEqual(seen, ['a@10', 'b@10']);
  assert.equal(clock.now() - start, 15);
  assert.equal(clock.pendingTimers, 1);
});

test('runUntil stops as soon as it may, promises included, or says that time is up', async () => {
  const clock = new VirtualClock();
  const start = clock.now();
  let isOver = false;
  clock.setTimer(30, () => void Promise.resolve().then(() => (isOver = true)));
  clock.setTimer(40, () => assert.fail('it was over'));
  assert.equal(await clock.runUntil(() => isOver, 35), true);
  assert.equal(clock.now() - start, 30);
  assert.equal(await clock.runUntil(() => false, 5), false);
});

test('somebody who asks to be woken at once, again and again, is told that time stands still', () => {
  const clock = new VirtualClock();
  const spin = (): void => void clock.setTimer(0, spin);
  spin();
  assert.throws(() => clock.advance(1), /time stands still/);
});
