/**
 * Round-trip estimate and retransmission timeout: RFC 6298 with the official constants, a 200 ms floor (the official
 * ends have none and resend too early), and Karn's rule: the caller gives no samples of resent messages, and a
 * backed-off timeout stays until a fresh sample comes.
 */
import {
  CLOCK_GRANULARITY_MS,
  PROBE_MAX_MS,
  RTO_MAX_MS,
  RTO_MIN_MS,
  RTT_GAIN,
  RTT_INITIAL_MS,
  RTT_VARIATION_GAIN,
} from './limits.ts';

export class RoundTrip {
  #smoothedMs = RTT_INITIAL_MS;
  #variationMs = 0;
  #backoff = 1;
  #samples = 0;

  /** Smoothed round trip in ms; the initial guess until the first sample. */
  get smoothedMs(): number {
    return this.#smoothedMs;
  }

  get samples(): number {
    return this.#samples;
  }

  /** Retransmission timeout in ms without back-off, 200..1000. */
  get timeoutMs(): number {
    const raw = this.#smoothedMs + Math.max(CLOCK_GRANULARITY_MS, 4 * this.#variationMs);
    return Math.min(RTO_MAX_MS, Math.max(RTO_MIN_MS, raw));
  }

  /** Wait before the next probe of a silent path, in ms: the timeout, doubled with each probe, at most 5 s. */
  get probeMs(): number {
    return Math.min(PROBE_MAX_MS, this.timeoutMs * this.#backoff);
  }

  /** One measured round trip of a message that was sent once. */
  sample(elapsedMs: number): void {
    this.#variationMs =
      (1 - RTT_VARIATION_GAIN) * this.#variationMs +
      RTT_VARIATION_GAIN * Math.abs(this.#smoothedMs - elapsedMs);
    this.#smoothedMs = (1 - RTT_GAIN) * this.#smoothedMs + RTT_GAIN * elapsedMs;
    this.#samples += 1;
    this.#backoff = 1;
  }

  /** A probe went out and nothing has come back. */
  backOff(): void {
    if (this.probeMs < PROBE_MAX_MS) this.#backoff *= 2;
  }

  /** A new link: what was learnt of silence on the old one says nothing about it. */
  resetBackoff(): void {
    this.#backoff = 1;
  }
}
