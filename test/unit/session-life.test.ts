/** Signs of life: pings, stalls, a machine that slept, an instance that is gone. Virtual time, no sockets. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { LifeWatch } from '../../src/session/life-watch.ts';
import { acknowledgeMessage } from '../support/fake-agent.ts';
import { bringUp, startSession } from '../support/session-bench.ts';

describe('signs of life', () => {
  test('line 12: a ping goes out within 30 s, and a missed pong leads to a resume', async () => {
    const bench = startSession();
    bringUp(bench);
    await bench.clock.advanceAsync(30_000);
    assert.equal(bench.links[0]?.pings, 1);
    assert.equal(bench.resumes(), 0);
    await bench.clock.advanceAsync(10_000);
    assert.equal(bench.resumes(), 1);
    assert.ok(bench.links[0]?.isClosed);
    assert.deepEqual(bench.outcomes, []);
  });

  test('answered pings keep an idle link for as long as you like', async () => {
    const bench = startSession();
    bringUp(bench);
    for (let minute = 0; minute < 40; minute += 1) {
      for (let part = 0; part < 12; part += 1) {
        await bench.clock.advanceAsync(5_000);
        bench.link().onPong();
      }
    }
    assert.equal(bench.resumes(), 0);
  });

  test('unacknowledged data and silence replace the link before ssh gives up, then ever more rarely', async () => {
    const bench = startSession();
    bringUp(bench);
    bench.session.write(Buffer.from('keepalive'));
    await bench.clock.advanceAsync(10_000);
    assert.equal(bench.resumes(), 1);
    bench.link().onOpen();
    for (let second = 0; second < 600; second += 5) {
      await bench.clock.advanceAsync(5_000);
      bench.link().onOpen();
      bench.link().onPong();
    }
    assert.ok(bench.resumes() <= 8, `${bench.resumes()} links in ten minutes`);
    assert.deepEqual(bench.outcomes, [], 'line 35: the session stays');
    bench.link().onMessage(acknowledgeMessage(1), true);
    assert.equal(bench.session.stats().unackedMessages, 0);
  });

  test('a silence that goes on has the instance looked up; a terminated one ends the session with that reason', async () => {
    let lookups = 0;
    const gone = new ProxyError('TARGET_TERMINATED', 'i-1 was terminated 40 s ago');
    const bench = startSession({
      diagnose: () => {
        lookups += 1;
        return Promise.resolve(lookups > 1 ? gone : undefined);
      },
    });
    bringUp(bench);
    bench.session.write(Buffer.from('x'));
    for (let second = 0; second < 80; second += 1) {
      await bench.clock.advanceAsync(1_000);
      if (bench.outcomes.length > 0) break;
      bench.link().onOpen();
      bench.link().onPong();
    }
    assert.equal(lookups, 2);
    assert.deepEqual(bench.outcomes, [{ kind: 'failed', error: gone }]);
  });

  test('a failed look-up is no reason to end', async () => {
    const bench = startSession({ diagnose: () => Promise.reject(new ProxyError('ACCESS_DENIED', 'no')) });
    bringUp(bench);
    bench.session.write(Buffer.from('x'));
    for (let second = 0; second < 60; second += 1) {
      await bench.clock.advanceAsync(1_000);
      bench.link().onOpen();
      bench.link().onPong();
    }
    assert.deepEqual(bench.outcomes, []);
  });

  test('refusals are believed only after a few attempts: credentials may be being replaced', async () => {
    for (const [refusals, ends] of [
      [3, false],
      [100, true],
    ] as const) {
      let calls = 0;
      const bench = startSession({
        resume: () => {
          calls += 1;
          return calls > refusals ? Promise.resolve() : Promise.reject(new ProxyError('ACCESS_DENIED', 'no'));
        },
      });
      bringUp(bench);
      bench.link().onClose({ code: 1000, reason: 'Bye', error: undefined });
      await bench.clock.advanceAsync(30_000);
      assert.equal(bench.outcomes.length > 0, ends, `${refusals} refusals`);
    }
  });

  test('expired credentials are waited for: the user may log in again', async () => {
    let isExpired = true;
    const bench = startSession({
      resumeTimeoutMs: 600_000,
      resume: () =>
        isExpired ? Promise.reject(new ProxyError('CREDENTIALS_EXPIRED', 'expired')) : Promise.resolve(),
    });
    bringUp(bench);
    bench.link().onClose({ code: 1000, reason: 'Bye', error: undefined });
    await bench.clock.advanceAsync(300_000);
    assert.deepEqual(bench.outcomes, []);
    isExpired = false;
    await bench.clock.advanceAsync(10_000);
    assert.equal(bench.links.length, 2);
  });
});

describe('the clock', () => {
  test('a wall clock that ran ahead of the monotonic one means sleep', () => {
    const watch = new LifeWatch(0, 0);
    assert.equal(watch.hasJumped(5_000, 5_000, 5_000), false);
    assert.equal(watch.hasJumped(10_000, 3_600_000, 10_000), true);
    assert.equal(watch.hasJumped(15_000, 3_605_000, 15_000), false);
  });

  test('a timer that fires much too late means sleep', () => {
    const watch = new LifeWatch(0, 0);
    assert.equal(watch.hasJumped(3_600_000, 3_600_000, 5_000), true);
  });

  test('a wall clock set back means nothing', () => {
    const watch = new LifeWatch(0, 1_000_000);
    assert.equal(watch.hasJumped(5_000, 0, 5_000), false);
  });
});
