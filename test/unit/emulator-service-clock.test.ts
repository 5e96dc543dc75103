/** The service's clock: offset wall time, compressed lifetimes; token buckets and the rate watch beside it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateWatch } from '../../src/emulator/rate-watch.ts';
import { ServiceClock } from '../../src/emulator/service-clock.ts';
import { SessionTokens } from '../../src/emulator/session-tokens.ts';
import { TokenBucket } from '../../src/emulator/token-bucket.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

test('the wall clock follows its offset', () => {
  const plain = new VirtualClock();
  const clock = new ServiceClock(plain);
  assert.equal(clock.wallNow(), plain.wallNow());
  clock.set({ offsetMs: -600_000 });
  assert.equal(clock.wallNow(), plain.wallNow() - 600_000);
});

test('a lifetime runs as many times faster as the speed says', () => {
  const plain = new VirtualClock();
  const clock = new ServiceClock(plain);
  clock.set({ speed: 3600 });
  let fired = 0;
  clock.setLifetime(3_600_000, () => (fired += 1));
  plain.advance(990);
  assert.equal(fired, 0);
  plain.advance(20);
  assert.equal(fired, 1);
  assert.equal(plain.pendingTimers, 0);
});

test('a running lifetime keeps what has passed when the speed changes', () => {
  const plain = new VirtualClock();
  const clock = new ServiceClock(plain);
  let fired = 0;
  clock.setLifetime(10_000, () => (fired += 1));
  plain.advance(4000);
  clock.set({ speed: 10 });
  plain.advance(590);
  assert.equal(fired, 0);
  plain.advance(20);
  assert.equal(fired, 1);
});

test('a cancelled lifetime leaves no timer, also after a change of speed', () => {
  const plain = new VirtualClock();
  const clock = new ServiceClock(plain);
  const timer = clock.setLifetime(10_000, () => assert.fail('cancelled'));
  clock.set({ speed: 2 });
  timer.cancel();
  timer.cancel();
  assert.equal(plain.pendingTimers, 0);
  plain.advance(20_000);
});

test('a token bucket gives its burst, then its rate', () => {
  const bucket = new TokenBucket({ perSecond: 3, burst: 3 }, 0);
  const taken = (from: number, to: number, stepMs: number): number => {
    let count = 0;
    for (let now = from; now < to; now += stepMs) if (bucket.take(now)) count += 1;
    return count;
  };
  assert.deepEqual(
    [bucket.take(0), bucket.take(0), bucket.take(0), bucket.take(0)],
    [true, true, true, false],
  );
  assert.equal(taken(10, 10_001, 10), 30);
  assert.equal(bucket.take(100_000), true);
});

test('the rate watch fires above the limit over the whole window, and calms down', () => {
  const watch = new RateWatch();
  const limit = { messagesPerSecond: 1000, windowMs: 2000 };
  let above = 0;
  for (let ms = 0; ms < 2000; ms += 1) if (watch.count(ms, limit)) above += 1;
  assert.equal(above, 0, '1000 per second is allowed');
  for (let i = 0; i < 200; i += 1) watch.count(1999, limit);
  assert.equal(watch.isAbove(1999, limit), true);
  assert.equal(watch.isAbove(2700, limit), false);
});

test('the rate watch is off without a limit', () => {
  const watch = new RateWatch();
  for (let i = 0; i < 100_000; i += 1)
    assert.equal(watch.count(1, { messagesPerSecond: 0, windowMs: 2000 }), false);
});

test('a token opens its own session once, within its lifetime', () => {
  const rules = { tokenSingleUse: true, tokenLifetimeMs: 1000 };
  const tokens = new SessionTokens();
  const token = tokens.issue('s-1', 0);
  assert.ok(token.length <= 300);
  assert.equal(tokens.use(token, 's-2', 10, rules), 'unknown');
  assert.equal(tokens.use('made up', 's-1', 10, rules), 'unknown');
  assert.equal(tokens.use(token, 's-1', 1001, rules), 'expired');
  assert.equal(tokens.use(token, 's-1', 10, rules), 'accepted');
  assert.equal(tokens.use(token, 's-1', 10, rules), 'used');
  assert.equal(tokens.use(token, 's-1', 10, { ...rules, tokenSingleUse: false }), 'accepted');
  tokens.revoke('s-1');
  assert.equal(tokens.use(token, 's-1', 10, { ...rules, tokenSingleUse: false }), 'unknown');
});
