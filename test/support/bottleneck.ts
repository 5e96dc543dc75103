/**
 * A sender and the far end of its path, in virtual time: a pipe of so many bytes a second with a round trip, a queue
 * in front of it without end (TCP and its buffers), and an agent that acknowledges everything at once.
 */
import { Sender } from '../../src/protocol/sender.ts';
import type { SenderOptions } from '../../src/protocol/sender.ts';

export interface Path {
  /** Infinity: no bound. */
  bytesPerSecond: number;
  roundTripMs: number;
  /** Larger payloads vanish on the way. */
  dropAboveBytes?: number;
}

export interface Load {
  /** Always has more to send; otherwise only what `type` puts in. */
  readonly isBulk: boolean;
}

interface Acknowledgement {
  readonly at: number;
  readonly sequenceNumber: number;
}

/** The service's share of a message besides the payload. */
const ENVELOPE_BYTES = 120;
const STEP_MS = 0.25;

export class Bottleneck {
  readonly sender: Sender;
  now = 0;
  /** Stream bytes acknowledged. */
  arrivedBytes = 0;
  /** Messages sent, resends included. */
  messages = 0;
  /** Longest time that a message waited for the pipe, since it was last set to 0. */
  longestWaitMs = 0;
  readonly #path: Path;
  readonly #load: Load;
  readonly #acknowledgements: Acknowledgement[] = [];
  #pipeFreeAt = 0;
  #next = 0;

  constructor(path: Path, load: Load, options: Partial<SenderOptions> = {}) {
    this.#path = path;
    this.#load = load;
    this.sender = new Sender(
      { messagesPerSecond: undefined, ...options },
      (sequenceNumber, _type, payload) => {
        const message = Buffer.alloc(4 + payload.length);
        message.writeUInt32BE(sequenceNumber);
        return message;
      },
    );
  }

  /** How long a message that is sent now waits before the pipe takes it. */
  get waitMs(): number {
    return Math.max(0, this.#pipeFreeAt - this.now);
  }

  /** Lets time pass. */
  run(ms: number): void {
    const end = this.now + ms;
    for (; this.now < end; this.now += STEP_MS) this.#step();
  }

  #step(): void {
    const outgoing: Buffer[] = [];
    for (let first = this.#acknowledgements[this.#next]; first !== undefined && first.at <= this.now;) {
      this.#next += 1;
      const before = this.sender.outbox.unackedStreamBytes;
      this.sender.acknowledge(first.sequenceNumber, this.now);
      this.arrivedBytes += before - this.sender.outbox.unackedStreamBytes;
      this.sender.resendDue(this.now, undefined, outgoing);
      first = this.#acknowledgements[this.#next];
    }
    while (this.#load.isBulk && this.sender.hasRoom()) this.sender.write(Buffer.alloc(64 * 1024));
    this.sender.pump(1, this.now, outgoing);
    const deadline = this.sender.deadline(this.now, true, undefined);
    if (deadline !== undefined && deadline <= this.now) this.sender.resendDue(this.now, undefined, outgoing);
    for (const message of outgoing) this.#transmit(message);
  }

  #transmit(message: Buffer): void {
    this.messages += 1;
    this.longestWaitMs = Math.max(this.longestWaitMs, this.waitMs);
    const transmitMs = ((message.length - 4 + ENVELOPE_BYTES) * 1000) / this.#path.bytesPerSecond;
    this.#pipeFreeAt = Math.max(this.#pipeFreeAt, this.now) + transmitMs;
    if (message.length - 4 > (this.#path.dropAboveBytes ?? Infinity)) return;
    const at = this.#pipeFreeAt + this.#path.roundTripMs;
    this.#acknowledgements.push({ at, sequenceNumber: message.readUInt32BE(0) });
  }
}
