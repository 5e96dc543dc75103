/**
 * Tries again within a time budget. When the time is up, the last real failure is the error, with the time that was
 * spent on it: "the agent is not connected" tells more than "it took too long".
 */
import type { Clock } from '../clock.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { fitDelayMs, retryDelayMs } from './retry-policy.ts';
import { sleep } from './sleep.ts';
import type { TimeBudget } from './time-budget.ts';

export interface PersistOptions {
  readonly budget: TimeBudget;
  readonly clock: Clock;
  readonly log: Log;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** Before each wait. */
  readonly onFailure?: (error: ProxyError) => void;
  /** Failures that end it at once, besides those of the policy. */
  readonly isFinal?: (error: ProxyError) => boolean;
  /** Rejects when something makes further tries pointless; never resolves. */
  readonly verdict?: Promise<never>;
  /** The hint for the last failure, when it is given up on. */
  readonly hintFor?: (error: ProxyError) => string | undefined;
}

/** Rejects with a final failure at once, and with the last one when the budget is spent. */
export async function persist<T>(attempt: () => Promise<T>, options: PersistOptions): Promise<T> {
  const { budget, log, random = Math.random } = options;
  const { signal } = budget;
  let last: ProxyError | undefined;
  let failuresOfKind = 0;
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = asProxyError(thrown);
      // Ended from outside: what failed before says why it took so long.
      if (signal.aborted) throw budget.isSpent && last !== undefined ? gaveUp(last, options) : error;
      if (options.isFinal?.(error) === true) throw last === undefined ? error : gaveUp(last, options);
      failuresOfKind = error.code === last?.code ? failuresOfKind + 1 : 1;
      const wantedMs = retryDelayMs(error, failuresOfKind, random());
      if (wantedMs === undefined) throw error;
      last = error;
      options.onFailure?.(error);
      const delayMs = fitDelayMs(wantedMs, budget.remainingMs);
      if (delayMs === undefined) throw gaveUp(error, options);
      log.info('try_again', { code: error.code, tries, inMs: Math.round(delayMs) });
      await wait(delayMs, error, options);
    }
  }
}

async function wait(delayMs: number, error: ProxyError, options: PersistOptions): Promise<void> {
  const { budget, clock, verdict } = options;
  const waking = new AbortController();
  const slept = sleep(clock, delayMs, AbortSignal.any([budget.signal, waking.signal]));
  try {
    await (verdict === undefined ? slept : Promise.race([slept, verdict]));
  } catch (thrown) {
    throw budget.isSpent ? gaveUp(error, options) : thrown;
  } finally {
    // The verdict may come first; the rest of the wait is then nobody's.
    slept.catch(() => {});
    waking.abort();
  }
}

/** The failure, with the time that was spent on it where the budget has a name. */
export function gaveUp(
  error: ProxyError,
  { budget, hintFor }: Pick<PersistOptions, 'budget' | 'hintFor'>,
): ProxyError {
  const tried =
    budget.limit.name === undefined
      ? undefined
      : `tried for ${formatSeconds(budget.spentMs)} (${budget.limit.name})`;
  const hint = [tried, hintFor?.(error) ?? error.hint].filter((part) => part !== undefined).join('; ');
  return new ProxyError(error.code, error.message, { cause: error, ...(hint !== '' && { hint }) });
}

export function formatSeconds(ms: number): string {
  return ms < 9_950 ? `${(ms / 1000).toFixed(1).replace(/\.0$/, '')} s` : `${Math.round(ms / 1000)} s`;
}
