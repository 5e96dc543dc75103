/**
 * Order of what the client sends to the emulated agent (protocol.md 4.3). Decides about one message at a time; the
 * caller handles, acknowledges and comes back with the verdict.
 *
 * The real agent's habits, kept on purpose: the message in turn is handled first and acknowledged after; one ahead
 * of its turn is acknowledged at once and handled later, so that a failure of the handler then cannot be repaired;
 * above 100,000 waiting messages new ones are dropped without a word; duplicates are acknowledged again since
 * 3.2.1041.0 and dropped before that.
 */
import type { Message } from '../protocol/message.ts';

/** Messages kept that arrived ahead of their turn; the real agent's figure. */
export const INBOX_CAPACITY_MESSAGES = 100_000;

/**
 * `handle`: it is this message's turn. `acknowledge`: only acknowledge it (kept for later, or a duplicate).
 * `drop`: do nothing.
 */
export type Arrival = 'handle' | 'acknowledge' | 'drop';

/** What is left of a message once it is acknowledged. */
export interface StreamPayload {
  readonly payloadType: number | undefined;
  readonly payload: Buffer;
}

export class AgentInbox {
  #expected = 0;
  readonly #ahead = new Map<number, StreamPayload>();
  #duplicates = 0;
  readonly #capacity: number;

  constructor(capacity: number = INBOX_CAPACITY_MESSAGES) {
    this.#capacity = capacity;
  }

  get expectedSequenceNumber(): number {
    return this.#expected;
  }

  /** Messages received below the expected sequence number. */
  get duplicates(): number {
    return this.#duplicates;
  }

  arrive(message: Message, reackDuplicates: boolean): Arrival {
    const { sequenceNumber } = message;
    if (sequenceNumber === this.#expected) return 'handle';
    if (sequenceNumber < this.#expected) {
      this.#duplicates += 1;
      return reackDuplicates ? 'acknowledge' : 'drop';
    }
    if (this.#ahead.size >= this.#capacity) return 'drop';
    // A copy: the message may be a view into a larger receive buffer.
    const payload = Buffer.from(message.payload);
    this.#ahead.set(sequenceNumber, { payloadType: message.payloadType, payload });
    return 'acknowledge';
  }

  /** The message in turn was handled: the next one is expected. */
  advance(): void {
    this.#ahead.delete(this.#expected);
    this.#expected += 1;
  }

  /** The message in turn if it came earlier. It stays until `advance`, also when handling it fails. */
  peek(): StreamPayload | undefined {
    return this.#ahead.get(this.#expected);
  }
}
