/**
 * Token bucket for data messages: at most `messagesPerSecond` over time, with bursts of `burst`. What must go out
 * regardless (resends, control) is charged as debt, so that the rate holds over time.
 */
/** Rounding may leave a token this much short of whole; without it the caller could wait for nothing for ever. */
const WHOLE = 1 - 1e-6;

export class Pacer {
  #perMs = 0;
  #burst = 1;
  readonly #mostBurst: number;
  #tokens: number;
  #updatedMs: number | undefined;

  constructor(messagesPerSecond: number, burst: number) {
    this.#mostBurst = burst;
    this.setRate(messagesPerSecond);
    this.#tokens = this.#burst;
  }

  /** From the next refill on. */
  setRate(messagesPerSecond: number): void {
    this.#perMs = messagesPerSecond / 1000;
    this.#burst = Math.max(1, Math.min(this.#mostBurst, messagesPerSecond / 10));
  }

  /** Takes one token when there is a whole one. */
  tryTake(now: number): boolean {
    this.#refill(now);
    if (this.#tokens < WHOLE) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Counts messages that were sent without asking. Debt is bounded to one second. */
  charge(messages: number, now: number): void {
    this.#refill(now);
    this.#tokens = Math.max(this.#tokens - messages, -1000 * this.#perMs);
  }

  /** When the next token is whole. */
  readyAt(now: number): number {
    this.#refill(now);
    return this.#tokens >= WHOLE ? now : now + (1 - this.#tokens) / this.#perMs;
  }

  #refill(now: number): void {
    if (this.#updatedMs !== undefined && now > this.#updatedMs) {
      this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#updatedMs) * this.#perMs);
    }
    this.#updatedMs = Math.max(now, this.#updatedMs ?? now);
  }
}
