/**
 * What the emulated agent has sent and the client has not yet acknowledged (protocol.md 4.1, 4.2).
 *
 * Front-only retransmission, as in the real agent: every 100 ms the oldest message is looked at and sent again if
 * it is older than the RTO; nothing else is ever repeated before it. No window. Beyond 100,000 messages new ones
 * are sent but not remembered, so that their loss is final. No clock of its own: `now` is monotonic milliseconds.
 * One habit is left out: the real agent records after sending, which only adds duplicates.
 */

/** Messages remembered; the real agent's figure. */
export const OUTBOX_CAPACITY_MESSAGES = 100_000;
/** Interval of the retransmission scan. */
export const RESEND_SCAN_MS = 100;
const INITIAL_RTO_MS = 200;
const INITIAL_RTT_MS = 100;
const MAX_RTO_MS = 1000;
const CLOCK_GRANULARITY_MS = 10;
const RTT_GAIN = 1 / 8;
const RTT_VARIATION_GAIN = 1 / 4;

interface SentMessage {
  readonly data: Buffer;
  lastSentAt: number;
}

export class AgentOutbox {
  /** Next sequence number. */
  #next = 0;
  // Insertion order is sequence order, so the first key is the oldest.
  readonly #unacked = new Map<number, SentMessage>();
  #unackedBytes = 0;
  #retransmissions = 0;
  #rttMs = INITIAL_RTT_MS;
  #rttVariationMs = 0;
  #rtoMs = INITIAL_RTO_MS;
  readonly #capacity: number;

  constructor(capacity: number = OUTBOX_CAPACITY_MESSAGES) {
    this.#capacity = capacity;
  }

  get nextSequenceNumber(): number {
    return this.#next;
  }

  get unackedMessages(): number {
    return this.#unacked.size;
  }

  /** Whole messages, headers included. */
  get unackedBytes(): number {
    return this.#unackedBytes;
  }

  get retransmissions(): number {
    return this.#retransmissions;
  }

  get rtoMs(): number {
    return this.#rtoMs;
  }

  /** Remembers the message with the next sequence number; also one that a pause keeps from being sent now. */
  record(data: Buffer, now: number): void {
    const sequenceNumber = this.#next;
    this.#next += 1;
    if (this.#unacked.size >= this.#capacity) return;
    this.#unacked.set(sequenceNumber, { data, lastSentAt: now });
    this.#unackedBytes += data.length;
  }

  /** An acknowledgement: a sample for the RTO, also from repeated messages. Unknown numbers are ignored. */
  acknowledge(sequenceNumber: number, now: number): void {
    const sent = this.#unacked.get(sequenceNumber);
    if (sent === undefined) return;
    const sampleMs = now - sent.lastSentAt;
    this.#rttVariationMs =
      (1 - RTT_VARIATION_GAIN) * this.#rttVariationMs + RTT_VARIATION_GAIN * Math.abs(this.#rttMs - sampleMs);
    this.#rttMs = (1 - RTT_GAIN) * this.#rttMs + RTT_GAIN * sampleMs;
    this.#rtoMs = Math.min(
      MAX_RTO_MS,
      this.#rttMs + Math.max(CLOCK_GRANULARITY_MS, 4 * this.#rttVariationMs),
    );
    this.#unacked.delete(sequenceNumber);
    this.#unackedBytes -= sent.data.length;
  }

  /** One scan: the oldest message if it has to be sent again now, marked as sent. Not to be called while paused. */
  takeDue(now: number): Buffer | undefined {
    const front = this.#unacked.values().next();
    if (front.done === true) return undefined;
    const sent = front.value;
    if (now - sent.lastSentAt <= this.#rtoMs) return undefined;
    sent.lastSentAt = now;
    this.#retransmissions += 1;
    return sent.data;
  }
}
