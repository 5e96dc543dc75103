/**
 * The time that getting in may take: one limit over many steps, with an abort signal for those that can be ended.
 *
 * Some time can be left out of it: in a queue with other processes, and while the machine was too busy to run this
 * process at all (a hundred connections that start in the same second on two cores).
 */
import type { Clock, TimerHandle } from '../clock.ts';

export interface TimeLimit {
  /** Milliseconds. */
  readonly limitMs: number;
  /** What set the limit, as the user knows it; undefined when that is nothing to speak of. */
  readonly name: string | undefined;
  /** Most of the time in which this process did not run that is left out; 0: it all counts. Milliseconds. */
  readonly elasticMs: number;
}

/** A timer that comes this late, or later, was kept from it. Milliseconds. */
const LATE_MS = 100;
const HEARTBEAT_MS = 250;

export class TimeBudget {
  #limit: TimeLimit;
  /** Aborted when the caller gives up, or when the time is spent. */
  readonly signal: AbortSignal;

  readonly #clock: Clock;
  readonly #spent = new AbortController();
  readonly #startedAt: number;
  #elasticLeftMs: number;
  #outsideMs = 0;
  #outsideSince: number | undefined;
  #timer: TimerHandle | undefined;
  #heartbeat: TimerHandle | undefined;
  /** Of the heartbeat. */
  #dueAt = Infinity;

  constructor(clock: Clock, limit: TimeLimit, caller: AbortSignal) {
    this.#clock = clock;
    this.#limit = limit;
    this.#elasticLeftMs = limit.elasticMs;
    this.#startedAt = clock.now();
    this.signal = AbortSignal.any([caller, this.#spent.signal]);
    this.#arm();
    if (limit.elasticMs > 0) this.#beat();
  }

  get limit(): TimeLimit {
    return this.#limit;
  }

  /** From now on another limit holds, which begins now: something came up that takes its own time. */
  prolong(limitMs: number, name: string): void {
    this.#limit = { ...this.#limit, limitMs: this.spentMs + limitMs, name };
    if (this.#outsideSince === undefined) this.#arm();
  }

  /** Milliseconds that count against the limit so far. */
  get spentMs(): number {
    const now = this.#clock.now();
    const outside = this.#outsideSince === undefined ? 0 : now - this.#outsideSince;
    return now - this.#startedAt - this.#outsideMs - outside;
  }

  get remainingMs(): number {
    return Math.max(0, this.#limit.limitMs - this.spentMs);
  }

  get isSpent(): boolean {
    return this.#spent.signal.aborted;
  }

  /** Calls back when the time is spent, at once if it is; never after `close`. */
  onSpent(callback: () => void): void {
    if (this.isSpent) callback();
    else this.#spent.signal.addEventListener('abort', callback, { once: true });
  }

  /** The clock of the budget stands still meanwhile. One at a time; `wait` needs a bound of its own. */
  async outside<T>(wait: () => Promise<T>): Promise<T> {
    this.#timer?.cancel();
    this.#outsideSince = this.#clock.now();
    try {
      return await wait();
    } finally {
      this.#outsideMs += this.#clock.now() - this.#outsideSince;
      this.#outsideSince = undefined;
      this.#arm();
    }
  }

  /** Nothing more is aborted. Idempotent. */
  close(): void {
    this.#timer?.cancel();
    this.#heartbeat?.cancel();
  }

  #arm(): void {
    if (this.isSpent) return;
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(this.remainingMs, () => {
      // The heartbeat may be due as well, and know of time that does not count.
      this.#leaveOutLateness();
      if (this.remainingMs >= 1) {
        this.#arm();
        return;
      }
      this.close();
      this.#spent.abort();
    });
  }

  #beat(): void {
    this.#dueAt = this.#clock.now() + HEARTBEAT_MS;
    this.#heartbeat = this.#clock.setTimer(HEARTBEAT_MS, () => {
      if (this.#leaveOutLateness()) this.#arm();
      this.#beat();
    });
  }

  /** True if there was any. */
  #leaveOutLateness(): boolean {
    const now = this.#clock.now();
    const lateMs = now - this.#dueAt;
    if (lateMs < LATE_MS) return false;
    this.#dueAt = now;
    // In a queue nothing counts anyway.
    if (this.#outsideSince !== undefined) return false;
    const leftOutMs = Math.min(lateMs, this.#elasticLeftMs);
    this.#elasticLeftMs -= leftOutMs;
    this.#outsideMs += leftOutMs;
    return leftOutMs > 0;
  }
}
