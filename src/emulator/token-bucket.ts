/** A token bucket as AWS throttles with: `burst` calls at once, refilled at `perSecond`. Time is an argument. */

export interface BucketRate {
  /** Calls per second in the long run. */
  readonly perSecond: number;
  /** Calls that may come at once. */
  readonly burst: number;
}

export class TokenBucket {
  readonly #rate: BucketRate;
  #tokens: number;
  #refilledAt: number;

  constructor(rate: BucketRate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#refilledAt = nowMs;
  }

  /** Takes one token; false when there is none. */
  take(nowMs: number): boolean {
    const elapsedSeconds = Math.max(0, nowMs - this.#refilledAt) / 1000;
    this.#refilledAt = nowMs;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + elapsedSeconds * this.#rate.perSecond);
    // Many small refills add up with rounding errors.
    if (this.#tokens < 1 - 1e-6) return false;
    this.#tokens -= 1;
    return true;
  }
}
