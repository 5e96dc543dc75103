/** Time as an argument, so that tests can run the session in virtual time. */

export interface TimerHandle {
  /** Idempotent. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds, fractions allowed; only differences mean anything. */
  now(): number;
  /** Milliseconds since the Unix epoch. */
  wallNow(): number;
  /** Calls back once, not before `delayMs`. Delays over 2^31-1 ms are shortened to that. */
  setTimer(delayMs: number, callback: () => void): TimerHandle;
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Milliseconds since this process started, fractions included. `performance.now()` says the same; its first use loads a
 * dozen of Node's modules, which a start does not need.
 */
export function sinceStartMs(): number {
  return process.uptime() * 1000;
}

export const systemClock: Clock = {
  now: sinceStartMs,
  wallNow: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(0, delayMs), MAX_TIMER_MS));
    return { cancel: () => clearTimeout(timer) };
  },
};
