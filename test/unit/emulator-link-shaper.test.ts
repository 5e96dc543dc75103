/** Latency and bandwidth of a link, in virtual time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LinkShaper } from '../../src/emulator/link-shaper.ts';
import type { LinkSettings } from '../../src/emulator/link-shaper.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

function shaped(settings: LinkSettings) {
  const clock = new VirtualClock();
  const arrived: { item: string; at: number }[] = [];
  const current = { ...settings };
  const start = clock.now();
  const shaper = new LinkShaper<string>(
    clock,
    () => current,
    (item) => arrived.push({ item, at: clock.now() - start }),
  );
  return { clock, arrived, current, shaper };
}

test('without latency and cap items pass at once', () => {
  const { shaper, arrived, clock } = shaped({ latencyMs: 0, bytesPerSecond: 0 });
  shaper.send('a', 1000);
  assert.deepEqual(arrived, [{ item: 'a', at: 0 }]);
  assert.equal(clock.pendingTimers, 0);
});

test('latency delays each item by the same time', () => {
  const { shaper, arrived, clock } = shaped({ latencyMs: 50, bytesPerSecond: 0 });
  shaper.send('a', 1);
  clock.advance(20);
  shaper.send('b', 1);
  assert.equal(shaper.queuedBytes, 2);
  clock.advance(100);
  assert.deepEqual(arrived, [
    { item: 'a', at: 50 },
    { item: 'b', at: 70 },
  ]);
  assert.equal(shaper.queuedBytes, 0);
});

test('bandwidth spaces items by their size, on top of the latency', () => {
  const { shaper, arrived, clock } = shaped({ latencyMs: 10, bytesPerSecond: 1000 });
  for (const item of ['a', 'b', 'c']) shaper.send(item, 100);
  clock.advance(1000);
  assert.deepEqual(
    arrived.map(({ at }) => Math.round(at)),
    [110, 210, 310],
  );
});

test('nothing overtakes when the latency falls', () => {
  const { shaper, arrived, clock, current } = shaped({ latencyMs: 100, bytesPerSecond: 0 });
  shaper.send('slow', 1);
  current.latencyMs = 0;
  shaper.send('fast', 1);
  assert.deepEqual(arrived, []);
  clock.advance(100);
  assert.deepEqual(
    arrived.map(({ item }) => item),
    ['slow', 'fast'],
  );
});

test('what is sent while delivering stays in order', () => {
  const clock = new VirtualClock();
  const order: string[] = [];
  const current = { latencyMs: 5, bytesPerSecond: 0 };
  const shaper: LinkShaper<string> = new LinkShaper<string>(
    clock,
    () => current,
    (item) => {
      order.push(item);
      if (item === 'first') {
        current.latencyMs = 0;
        shaper.send('answer', 1);
      }
    },
  );
  shaper.send('first', 1);
  shaper.send('second', 1);
  clock.advance(50);
  assert.deepEqual(order, ['first', 'second', 'answer']);
});

test('a cleared link delivers nothing and keeps no timer', () => {
  const { shaper, arrived, clock } = shaped({ latencyMs: 50, bytesPerSecond: 0 });
  shaper.send('a', 1);
  shaper.clear();
  assert.equal(clock.pendingTimers, 0);
  assert.equal(shaper.queuedBytes, 0);
  shaper.send('b', 1);
  clock.advance(100);
  assert.deepEqual(
    arrived.map(({ item }) => item),
    ['b'],
  );
});

test('thousands of items keep their order', () => {
  const { shaper, arrived, clock } = shaped({ latencyMs: 3, bytesPerSecond: 1_000_000 });
  const items = Array.from({ length: 5000 }, (_, i) => String(i));
  for (const item of items) shaper.send(item, 100);
  clock.advance(10_000);
  assert.deepEqual(
    arrived.map(({ item }) => item),
    items,
  );
});
