/** Notices a client that sends more messages per second than the service likes, over a window. Pure. */

export interface RateLimit {
  /** 0: no limit. */
  readonly messagesPerSecond: number;
  readonly windowMs: number;
}

const BUCKET_MS = 100;

export class RateWatch {
  readonly #buckets = new Map<number, number>();

  /** Counts one message; true when the rate over the window is above the limit. */
  count(nowMs: number, limit: RateLimit): boolean {
    if (limit.messagesPerSecond === 0) return false;
    const bucket = Math.floor(nowMs / BUCKET_MS);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
    return this.isAbove(nowMs, limit);
  }

  /** Whether the window that ends now is above the limit. */
  isAbove(nowMs: number, limit: RateLimit): boolean {
    const oldest = Math.floor((nowMs - limit.windowMs) / BUCKET_MS);
    let total = 0;
    for (const [bucket, count] of this.#buckets) {
      if (bucket <= oldest) this.#buckets.delete(bucket);
      else total += count;
    }
    return total > (limit.messagesPerSecond * limit.windowMs) / 1000;
  }
}
