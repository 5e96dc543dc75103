/** What a mux session knows of one stream. Its rules are in mux-session.ts. */
import { ByteQueue } from '../protocol/byte-queue.ts';
import type { Sender } from './fair-queue.ts';
import type { HalfClose } from './half-close.ts';
import type { GRACE_MS } from './limits.ts';

/** `open`: the local client may still send. `ended`: it has ended its sending. `gone`: nor does it read any more. */
export type LocalState = 'open' | 'ended' | 'gone';

export class MuxStream implements Sender {
  readonly id: number;
  /** Written and not yet sent. */
  readonly queue = new ByteQueue();
  local: LocalState = 'open';
  /** FIN is sent, or waits to be; the agent answers with its own. */
  isFinSent = false;
  /** The agent's FIN has come: it knows nothing of this stream any more. */
  isRemoteEnded = false;
  isWriterWaiting = false;
  /** While FIN waits for the far end's silence. */
  halfClose: HalfClose | undefined;
  hasReceived = false;
  /** Delivered and not yet consumed. */
  unreadBytes = 0;
  /** When the local client last took something, or last had nothing to take. */
  takenAt: number;
  #hasSent = false;
  #isAnswered = false;

  constructor(id: number, now: number) {
    this.id = id;
    this.takenAt = now;
  }

  get isSending(): boolean {
    return this.queue.length > 0;
  }

  written(data: Buffer): void {
    this.queue.push(data);
    this.#hasSent = true;
    this.#isAnswered = false;
  }

  received(bytes: number, now: number): void {
    if (this.unreadBytes === 0) this.takenAt = now;
    this.unreadBytes += bytes;
    this.hasReceived = true;
    this.#isAnswered = true;
    this.halfClose?.received(now);
  }

  consumed(bytes: number, now: number): void {
    this.unreadBytes -= bytes;
    this.takenAt = now;
  }

  get grace(): keyof typeof GRACE_MS {
    if (this.#isAnswered) return 'answered';
    return this.#hasSent ? 'unanswered' : 'unused';
  }
}
