/**
 * The bound on received bytes that local clients have not taken: above it the data channel gets no credit and stops
 * reading from its socket (limits.ts says why there is one bound for all streams).
 */
import { LONE_UNREAD_LIMIT_BYTES, SHARED_UNREAD_LIMIT_BYTES } from './limits.ts';

export class Intake {
  #unreadBytes = 0;
  /** Received from the channel and not credited to it. */
  #withheldBytes = 0;
  #heldUpSince = 0;

  /** Delivered and not yet taken. */
  get unreadBytes(): number {
    return this.#unreadBytes;
  }

  get isHeldUp(): boolean {
    return this.#withheldBytes > 0;
  }

  /** In ms; says something while `isHeldUp`. */
  get heldUpSince(): number {
    return this.#heldUpSince;
  }

  /** Bytes have come from the channel, headers and all. */
  received(bytes: number, now: number): void {
    if (!this.isHeldUp) this.#heldUpSince = now;
    this.#withheldBytes += bytes;
  }

  delivered(bytes: number): void {
    this.#unreadBytes += bytes;
  }

  taken(bytes: number): void {
    this.#unreadBytes -= bytes;
  }

  /** Bytes to credit to the channel now, with so many streams; 0 while the limit is exceeded. */
  takeCredit(streams: number): number {
    const limit = streams > 1 ? SHARED_UNREAD_LIMIT_BYTES : LONE_UNREAD_LIMIT_BYTES;
    if (this.#unreadBytes > limit) return 0;
    const credit = this.#withheldBytes;
    this.#withheldBytes = 0;
    return credit;
  }
}
