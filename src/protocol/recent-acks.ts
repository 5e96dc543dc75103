/**
 * The last acknowledgements that were sent, to be sent again over a new link.
 *
 * Those on the wire when a link goes are lost. The agent then resends each of these messages, one per 100 ms, before
 * anything that was really lost comes to its turn; an acknowledgement more is ignored by it. Besides, any
 * acknowledgement ends a pause of the agent, for which the service may have no other end.
 */
import { REPEATED_ACKS, REPEATED_ACKS_MS } from './limits.ts';

export class RecentAcks {
  /** A ring, with the times of sending. */
  readonly #encoded: Buffer[] = [];
  readonly #sentMs: number[] = [];
  #next = 0;

  add(encoded: Buffer, now: number): void {
    this.#encoded[this.#next] = encoded;
    this.#sentMs[this.#next] = now;
    this.#next = (this.#next + 1) % REPEATED_ACKS;
  }

  /**
   * Those sent shortly before the newest one, oldest first: after that nothing came any more, however long the silence
   * lasted. At least the newest, if any was ever sent.
   */
  takeNewest(roundTripMs: number): Buffer[] {
    const count = this.#encoded.length;
    const newestMs = this.#sentMs[(this.#next + count - 1) % count] ?? 0;
    const taken: Buffer[] = [];
    for (let i = 0; i < count; i += 1) {
      const at = (this.#next + i) % count;
      const encoded = this.#encoded[at];
      const ageMs = newestMs - (this.#sentMs[at] ?? 0);
      if (encoded !== undefined && ageMs <= REPEATED_ACKS_MS + 2 * roundTripMs) taken.push(encoded);
    }
    return taken;
  }
}
