/**
 * Orders what arrives: which messages are acknowledged, which are handled, and when.
 *
 *   sequence number   acknowledged        handled
 *   below expected    again               no (the agent resends for ever until it sees an acknowledgement)
 *   expected          yes, if accepted    now, then everything that waited for it
 *   above, room       now                 when the gap closes
 *   above, no room    no                  no (the agent sends it again)
 *
 * The official client does not acknowledge duplicates again; after one lost acknowledgement its agent is stuck.
 */
import type { Message } from './message.ts';
import { REORDER_LIMIT_BYTES, REORDER_OVERHEAD_BYTES } from './limits.ts';

export interface InboxHandler {
  /** False refuses the next message in order for now: it is not acknowledged and will come again. */
  accepts(message: Message): boolean;
  acknowledge(message: Message): void;
  /** Handles the next message in order; called after it was acknowledged. */
  handle(message: Message): void;
}

export class Inbox {
  readonly #limitBytes: number;
  readonly #waiting = new Map<number, Message>();
  #waitingBytes = 0;
  #expected = 0;
  #duplicates = 0;
  #refused = 0;

  constructor(limitBytes: number = REORDER_LIMIT_BYTES) {
    this.#limitBytes = limitBytes;
  }

  get expectedSequenceNumber(): number {
    return this.#expected;
  }

  get waitingMessages(): number {
    return this.#waiting.size;
  }

  get duplicates(): number {
    return this.#duplicates;
  }

  get refused(): number {
    return this.#refused;
  }

  receive(message: Message, handler: InboxHandler): void {
    const { sequenceNumber } = message;
    if (sequenceNumber < 0) return;
    if (sequenceNumber < this.#expected || this.#waiting.has(sequenceNumber)) {
      this.#duplicates += 1;
      handler.acknowledge(message);
      if (sequenceNumber === this.#expected) this.drain(handler);
      return;
    }
    if (sequenceNumber > this.#expected) {
      this.#hold(message, handler);
      return;
    }
    if (!handler.accepts(message)) {
      this.#refused += 1;
      return;
    }
    handler.acknowledge(message);
    this.#expected += 1;
    handler.handle(message);
    this.drain(handler);
  }

  /** Handles what waits in order. Call it also when a handler that refused has room again. */
  drain(handler: InboxHandler): void {
    while (this.#waiting.size > 0) {
      const message = this.#waiting.get(this.#expected);
      if (message === undefined || !handler.accepts(message)) return;
      this.#waiting.delete(this.#expected);
      this.#waitingBytes -= cost(message);
      this.#expected += 1;
      handler.handle(message);
    }
  }

  #hold(message: Message, handler: InboxHandler): void {
    if (this.#waitingBytes + cost(message) > this.#limitBytes) {
      this.#refused += 1;
      return;
    }
    // The transport gives each message its own buffer, so keeping the view keeps only that message.
    this.#waiting.set(message.sequenceNumber, message);
    this.#waitingBytes += cost(message);
    handler.acknowledge(message);
  }
}

function cost(message: Message): number {
  return message.payload.length + REORDER_OVERHEAD_BYTES;
}
