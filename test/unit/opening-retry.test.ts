import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { translateAwsError } from '../../src/aws/errors.ts';
import { ProxyError } from '../../src/errors.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { persist } from '../../src/opening/persist.ts';
import type { PersistOptions } from '../../src/opening/persist.ts';
import { fitDelayMs, retryDelayMs } from '../../src/opening/retry-policy.ts';
import { TimeBudget } from '../../src/opening/time-budget.ts';
import type { TimeLimit } from '../../src/opening/time-budget.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** An answer of AWS as the SDK throws it. */
function awsError(name: string, httpStatusCode: number): ProxyError {
  const error = Object.assign(new Error('as AWS says it'), {
    name,
    $fault: 'client',
    $metadata: { httpStatusCode },
  });
  return translateAwsError(error, 'StartSession');
}

const middle = 0.5;

describe('retry policy', () => {
  it('comes back to an instance that is not connected after 1 s, growing to 3 s', () => {
    const error = awsError('TargetNotConnected', 400);
    const delays = [1, 2, 3, 4, 5, 20].map((failures) => retryDelayMs(error, failures, middle));
    assert.deepEqual(
      delays.map((delay) => Math.round(delay ?? NaN)),
      [1000, 1400, 1960, 2744, 3000, 3000],
    );
  });

  it('waits longer when AWS throttles', () => {
    const error = awsError('ThrottlingException', 400);
    assert.deepEqual(
      [1, 2, 3, 4, 9].map((failures) => retryDelayMs(error, failures, middle)),
      [1000, 2000, 4000, 8000, 8000],
    );
  });

  it('spreads every wait by a quarter up and down', () => {
    const error = awsError('ThrottlingException', 400);
    assert.equal(retryDelayMs(error, 1, 0), 750);
    assert.equal(retryDelayMs(error, 1, 1), 1250);
  });

  const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
  const notTls = Object.assign(new Error('wrong version number'), { code: 'EPROTO' });
  const proxy = (status: number) =>
    Object.assign(new Error(`the HTTP proxy p:1 answered ${status}`), { code: 'ERR_PROXY_REFUSED' });
  const unreachable = (cause: Error) => new ProxyError('ENDPOINT_UNREACHABLE', 'cannot reach it', { cause });
  const rows: readonly (readonly [name: string, error: ProxyError, isRetried: boolean])[] = [
    ['trouble on the side of AWS', awsError('InternalServerError', 500), true],
    ['an AWS that is overloaded', awsError('ServiceUnavailable', 503), true],
    ['a refused TCP connection', unreachable(refused), true],
    ['an HTTP proxy in trouble', unreachable(proxy(502)), true],
    ['an HTTP proxy that wants a password', unreachable(proxy(407)), false],
    ['an endpoint without TLS', unreachable(notTls), false],
    ['a missing permission', awsError('AccessDeniedException', 400), false],
    ['expired credentials', awsError('ExpiredTokenException', 400), false],
    ['invalid credentials', awsError('UnrecognizedClientException', 400), false],
    ['an invalid document', awsError('InvalidDocument', 400), false],
    ...(
      [
        'TLS_UNTRUSTED',
        'TARGET_NOT_FOUND',
        'TARGET_STOPPED',
        'TARGET_TERMINATED',
        'TARGET_AMBIGUOUS',
        'CANCELLED',
        'INTERNAL',
      ] satisfies ErrorCode[]
    ).map((code): readonly [string, ProxyError, boolean] => [code, new ProxyError(code, 'x'), false]),
  ];
  for (const [name, error, isRetried] of rows) {
    it(`${isRetried ? 'tries again after' : 'ends at once on'} ${name}`, () => {
      assert.equal(retryDelayMs(error, 1, middle) !== undefined, isRetried);
    });
  }

  it('puts a last try before the end of the budget, and gives up where there is no room for one', () => {
    assert.equal(fitDelayMs(1000, 5000), 1000);
    assert.equal(fitDelayMs(3000, 2000), 1500);
    assert.equal(fitDelayMs(3000, 600), undefined);
  });
});

describe('persisting within a budget', () => {
  interface Bench {
    readonly clock: VirtualClock;
    readonly budget: TimeBudget;
    readonly caller: AbortController;
    readonly options: PersistOptions;
  }
  const bench = (limitMs: number, more: Partial<PersistOptions> = {}): Bench => {
    const clock = new VirtualClock();
    const caller = new AbortController();
    const budget = new TimeBudget(clock, { limitMs, name: '--connect-timeout', elasticMs: 0 }, caller.signal);
    return {
      clock,
      budget,
      caller,
      options: { budget, clock, log: silentLog, random: () => middle, ...more },
    };
  };
  const notConnected = (): ProxyError => awsError('TargetNotConnected', 400);

  it('returns the first success', async () => {
    const { clock, options } = bench(30_000);
    let tries = 0;
    const result = persist(async () => {
      tries += 1;
      if (tries < 4) throw notConnected();
      return Promise.resolve(clock.now());
    }, options);
    const startedAt = clock.now();
    await clock.advanceAsync(10_000);
    assert.equal(Math.round((await result) - startedAt), 1000 + 1400 + 1960);
    assert.equal(tries, 4);
  });

  it('ends at once on a failure that stays', async () => {
    const { options } = bench(30_000);
    await assert.rejects(
      persist(() => Promise.reject(awsError('AccessDeniedException', 400)), options),
      { code: 'ACCESS_DENIED' },
    );
  });

  it('ends with the last real failure and says how long it was tried', async () => {
    const { clock, options } = bench(10_000, { hintFor: () => 'look at the agent' });
    let tries = 0;
    const result = persist(() => {
      tries += 1;
      return Promise.reject(notConnected());
    }, options);
    result.catch(() => {});
    await clock.advanceAsync(10_000);
    await assert.rejects(result, (error: ProxyError) => {
      assert.equal(error.code, 'TARGET_NOT_CONNECTED');
      assert.match(error.message, /^An error occurred \(TargetNotConnected\) when calling the StartSession/);
      assert.match(error.hint ?? '', /^tried for 9\.5 s \(--connect-timeout\); look at the agent$/);
      return true;
    });
    assert.equal(tries, 6);
  });

  it('ends with the failure before, when the budget ends a try that hangs', async () => {
    const { clock, budget, options } = bench(5_000);
    let tries = 0;
    const result = persist(() => {
      tries += 1;
      if (tries === 1) return Promise.reject(awsError('ThrottlingException', 400));
      return new Promise<never>((_resolve, reject) => {
        budget.signal.addEventListener('abort', () => reject(new ProxyError('CANCELLED', 'aborted')));
      });
    }, options);
    result.catch(() => {});
    await clock.advanceAsync(6_000);
    await assert.rejects(result, { code: 'THROTTLED' });
  });

  it('stops waiting when the verdict comes', async () => {
    let judge: (error: Error) => void = () => {};
    const verdict = new Promise<never>((_resolve, reject) => {
      judge = reject;
    });
    const { clock, budget, options } = bench(30_000, { verdict });
    const result = persist(() => Promise.reject(notConnected()), options);
    result.catch(() => {});
    await clock.advanceAsync(100);
    judge(new ProxyError('TARGET_STOPPED', 'it is stopped'));
    await assert.rejects(result, { code: 'TARGET_STOPPED' });
    budget.close();
    assert.equal(clock.pendingTimers, 0);
  });

  it('is cancelled by the caller while it waits', async () => {
    const { clock, caller, options } = bench(30_000);
    const result = persist(() => Promise.reject(notConnected()), options);
    result.catch(() => {});
    await clock.advanceAsync(100);
    caller.abort();
    await assert.rejects(result, { code: 'CANCELLED' });
  });
});

describe('time budget', () => {
  const limit: TimeLimit = { limitMs: 1000, name: undefined, elasticMs: 0 };

  /** Timers that are due while the process does not run come afterwards, as in Node. */
  class BusyClock extends VirtualClock {
    #stalledMs = 0;

    stall(ms: number): void {
      this.#stalledMs += ms;
      this.advance(0);
    }

    override now(): number {
      return super.now() + this.#stalledMs;
    }
  }

  it('does not count the time in which the process was kept from running, as far as it is elastic', () => {
    const clock = new BusyClock();
    const budget = new TimeBudget(clock, { ...limit, elasticMs: 5_000 }, new AbortController().signal);
    clock.advance(500);
    clock.stall(4_000);
    clock.advance(250);
    assert.equal(budget.spentMs, 750);
    clock.advance(249);
    assert.equal(budget.isSpent, false);
    clock.advance(1);
    assert.equal(budget.isSpent, true);
    assert.equal(clock.pendingTimers, 0);
  });

  it('counts what goes beyond that, and everything when it is not elastic', () => {
    for (const elasticMs of [0, 1_000]) {
      const clock = new BusyClock();
      const budget = new TimeBudget(clock, { ...limit, elasticMs }, new AbortController().signal);
      let calls = 0;
      budget.onSpent(() => (calls += 1));
      clock.stall(elasticMs + 1_000);
      clock.advance(1_000);
      assert.equal(budget.isSpent, true, String(elasticMs));
      assert.equal(calls, 1);
      budget.onSpent(() => (calls += 1));
      assert.equal(calls, 2);
    }
  });

  it('does not count what happens outside of it', async () => {
    const clock = new VirtualClock();
    const budget = new TimeBudget(clock, limit, new AbortController().signal);
    clock.advance(400);
    let done: () => void = () => {};
    const waited = budget.outside(
      () =>
        new Promise<void>((resolve) => {
          done = resolve;
        }),
    );
    clock.advance(60_000);
    assert.equal(budget.isSpent, false);
    assert.equal(budget.remainingMs, 600);
    done();
    await waited;
    clock.advance(599);
    assert.equal(budget.isSpent, false);
    clock.advance(1);
    assert.equal(budget.isSpent, true);
    assert.equal(budget.signal.aborted, true);
  });

  it('is over for the caller’s reasons too, without being spent', () => {
    const caller = new AbortController();
    const clock = new VirtualClock();
    const budget = new TimeBudget(clock, limit, caller.signal);
    caller.abort();
    assert.equal(budget.signal.aborted, true);
    assert.equal(budget.isSpent, false);
    budget.close();
    assert.equal(clock.pendingTimers, 0);
  });
});
