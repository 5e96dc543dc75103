/** A calm moment comes when little has moved for a while, once. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { CalmWatch } from '../../src/cli/calm-watch.ts';

let movedBytes = 0;
let calls = 0;
let watch: CalmWatch;

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  movedBytes = 0;
  calls = 0;
  watch = new CalmWatch(
    () => movedBytes,
    () => (calls += 1),
  );
});
afterEach(() => mock.timers.reset());

test('it comes after a while of keystrokes, and only once', () => {
  watch.start();
  movedBytes += 100;
  mock.timers.tick(2_000);
  assert.equal(calls, 1);
  mock.timers.tick(60_000);
  assert.equal(calls, 1);
});

test('it waits for the end of a transfer', () => {
  watch.start();
  for (let second = 0; second < 10; second += 1) {
    movedBytes += 1_000_000;
    mock.timers.tick(1_000);
  }
  assert.equal(calls, 0);
  mock.timers.tick(4_000);
  assert.equal(calls, 1);
});

test('it does not come after a stop', () => {
  watch.start();
  watch.stop();
  mock.timers.tick(60_000);
  assert.equal(calls, 0);
});
