/** The window of uploads over paths of any width and length, in virtual time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BASE_LIFE_MS, UNPACED_WINDOW_BYTES, WINDOW_LEAST_BYTES } from '../../src/protocol/limits.ts';
import { SendWindow } from '../../src/protocol/window.ts';
import { Bottleneck } from '../support/bottleneck.ts';

const BULK = { isBulk: true };
const PAYLOAD_SHARE = 1024 / 1144;

describe('the send window', () => {
  const paths = [
    [64_000, 0],
    [64_000, 100],
    [500_000, 0],
    [500_000, 50],
    [500_000, 200],
    [5_000_000, 50],
    [5_000_000, 200],
  ] as const;
  for (const [bytesPerSecond, roundTripMs] of paths) {
    test(`fills ${bytesPerSecond / 1000} kB/s at ${roundTripMs} ms of round trip, without a long queue`, () => {
      const path = new Bottleneck({ bytesPerSecond, roundTripMs }, BULK);
      path.run(3000);
      path.longestWaitMs = 0;
      const before = path.arrivedBytes;
      path.run(10_000);
      const share = (path.arrivedBytes - before) / (bytesPerSecond * 10 * PAYLOAD_SHARE);
      assert.ok(share > 0.95, `${share} of the path`);
      assert.ok(path.longestWaitMs < 250, `${path.longestWaitMs} ms of queue`);
      // At 200 ms the very first message is probed: nothing is known of the path yet.
      assert.ok(path.sender.outbox.resends <= 1, `${path.sender.outbox.resends} sent again`);
    });
  }

  test('carries 8 MB/s and more over 50 ms, and 16 MB/s over 200 ms, when nothing else holds it back', () => {
    for (const [roundTripMs, least] of [
      [50, 40],
      [200, 16],
    ] as const) {
      const path = new Bottleneck({ bytesPerSecond: Infinity, roundTripMs }, BULK);
      path.run(2000);
      const before = path.arrivedBytes;
      path.run(1000);
      const megabytes = (path.arrivedBytes - before) / 1e6;
      assert.ok(megabytes > least, `${megabytes} MB/s at ${roundTripMs} ms`);
    }
  });

  test('the first burst into an unknown path is small', () => {
    const path = new Bottleneck({ bytesPerSecond: 64_000, roundTripMs: 0 }, BULK);
    path.run(1);
    assert.ok(path.waitMs <= 600, `${path.waitMs} ms`);
  });

  test('shrinks when the path gets narrower, and grows again with it', () => {
    const settings = { bytesPerSecond: 5_000_000, roundTripMs: 20 };
    const path = new Bottleneck(settings, BULK);
    path.run(3000);
    settings.bytesPerSecond = 100_000;
    // What was in flight has to drain first.
    path.run(12_000);
    path.longestWaitMs = 0;
    path.run(5000);
    assert.ok(path.longestWaitMs < 250, `${path.longestWaitMs} ms of queue`);
    settings.bytesPerSecond = 5_000_000;
    path.run(3000);
    const before = path.arrivedBytes;
    path.run(3000);
    assert.ok((path.arrivedBytes - before) / 3 > 0.9 * 5_000_000 * PAYLOAD_SHARE);
  });

  test('a route that became longer is measured anew instead of being taken for a queue for ever', () => {
    const settings = { bytesPerSecond: 2_000_000, roundTripMs: 5 };
    const path = new Bottleneck(settings, BULK);
    path.run(3000);
    settings.roundTripMs = 300;
    path.run(2 * BASE_LIFE_MS);
    const before = path.arrivedBytes;
    path.run(10_000);
    const share = (path.arrivedBytes - before) / (2_000_000 * 10 * PAYLOAD_SHARE);
    assert.ok(share > 0.85, `${share} of the path`);
  });

  test('measuring again and again does not let the queue creep up', () => {
    const path = new Bottleneck({ bytesPerSecond: 200_000, roundTripMs: 40 }, BULK);
    path.run(5 * BASE_LIFE_MS);
    path.longestWaitMs = 0;
    const before = path.arrivedBytes;
    path.run(2 * BASE_LIFE_MS);
    assert.ok(path.longestWaitMs < 250, `${path.longestWaitMs} ms of queue`);
    const share = (path.arrivedBytes - before) / (((200_000 * 2 * BASE_LIFE_MS) / 1000) * PAYLOAD_SHARE);
    assert.ok(share > 0.95, `${share} of the path`);
  });

  test('a sender with little to say does not open it', () => {
    const window = new SendWindow(UNPACED_WINDOW_BYTES);
    const before = window.bytes;
    for (let i = 0; i < 100; i += 1) window.acknowledged(1, i, i + 1, i * 10);
    assert.equal(window.bytes, before);
  });

  test('a loss halves it once a round, never below its least', () => {
    const window = new SendWindow(UNPACED_WINDOW_BYTES);
    const before = window.bytes;
    window.lost();
    window.lost();
    assert.equal(window.bytes, before / 2);
    for (let i = 0; i < 20; i += 1) {
      window.acknowledged(1, i, i + 1, i);
      window.lost();
    }
    assert.equal(window.bytes, WINDOW_LEAST_BYTES);
  });

  test('after a pause it begins anew', () => {
    const window = new SendWindow(UNPACED_WINDOW_BYTES);
    const fresh = window.bytes;
    for (let i = 0; i < 10; i += 1) {
      window.limited();
      window.acknowledged(1, i, i + 1, i);
    }
    assert.ok(window.bytes > 4 * fresh);
    window.startsFromIdle(500);
    assert.ok(window.bytes > 4 * fresh);
    window.startsFromIdle(5000);
    assert.equal(window.bytes, fresh);
  });
});
