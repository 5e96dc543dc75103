/**
 * The time that getting in may take: one limit over many steps, with an abort signal for those that can be ended.
 * Time spent in a queue with other processes can be left out of it.
 */
import type { Clock, TimerHandle } from '../clock.ts';

export class TimeBudget {
  /** Milliseconds, as it was given. */
  readonly limitMs: number;
  /** What set the limit, as the user knows it; undefined when that is nothing to speak of. */
  readonly limitName: string | undefined;
  /** Aborted when the caller gives up, or when the time is spent. */
  readonly signal: AbortSignal;

  readonly #clock: Clock;
  readonly #spent = new AbortController();
  readonly #startedAt: number;
  #outsideMs = 0;
  #outsideSince: number | undefined;
  #timer: TimerHandle | undefined;

  constructor(clock: Clock, limitMs: number, caller: AbortSignal, limitName?: string) {
    this.#clock = clock;
    this.limitMs = limitMs;
    this.limitName = limitName;
    this.#startedAt = clock.now();
    this.signal = AbortSignal.any([caller, this.#spent.signal]);
    this.#arm();
  }

  /** Milliseconds that count against the limit so far. */
  get spentMs(): number {
    const now = this.#clock.now();
    const outside = this.#outsideSince === undefined ? 0 : now - this.#outsideSince;
    return now - this.#startedAt - this.#outsideMs - outside;
  }

  get remainingMs(): number {
    return Math.max(0, this.limitMs - this.spentMs);
  }

  get isSpent(): boolean {
    return this.#spent.signal.aborted;
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
  }

  #arm(): void {
    if (this.isSpent) return;
    this.#timer = this.#clock.setTimer(this.remainingMs, () => this.#spent.abort());
  }
}
