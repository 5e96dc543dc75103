/**
 * Whose turn it is to send: deficit round robin in which whoever comes anew goes first (RFC 8290 calls it
 * flow-queueing). A keystroke or a request does not wait behind uploads, uploads share evenly, and nobody starves:
 * the privilege of the new ends with the first quantum, and comes back only after a round of all others.
 */

export interface Sender {
  /** Has something to send at this moment. */
  readonly isSending: boolean;
}

export class FairQueue<T extends Sender> {
  readonly #quantum: number;
  readonly #credits = new Map<T, number>();
  /** In order of their turns. */
  readonly #fresh = new Set<T>();
  readonly #waiting = new Set<T>();

  /** `quantum`: bytes per turn. */
  constructor(quantum: number) {
    this.#quantum = quantum;
  }

  /** `sender` has something to send. */
  add(sender: T): void {
    if (this.#credits.has(sender)) return;
    this.#credits.set(sender, this.#quantum);
    this.#fresh.add(sender);
  }

  remove(sender: T): void {
    this.#credits.delete(sender);
    this.#fresh.delete(sender);
    this.#waiting.delete(sender);
  }

  /** Who may send now, and how many bytes at most; undefined when nobody has anything to send. */
  next(): { readonly sender: T; readonly bytes: number } | undefined {
    for (;;) {
      const isFresh = this.#fresh.size > 0;
      const [sender] = isFresh ? this.#fresh : this.#waiting;
      if (sender === undefined) return undefined;
      const credit = this.#credits.get(sender) ?? 0;
      if (credit > 0 && sender.isSending) return { sender, bytes: credit };
      if (sender.isSending) {
        this.#credits.set(sender, credit + this.#quantum);
        this.#toBack(sender);
      } else if (isFresh && this.#waiting.size > 0) {
        // Not forgotten yet: else it could be new again at once, and always first.
        this.#toBack(sender);
      } else {
        this.remove(sender);
      }
    }
  }

  /** `sender` has used its turn for so many bytes. */
  sent(sender: T, bytes: number): void {
    const credit = this.#credits.get(sender);
    if (credit !== undefined) this.#credits.set(sender, credit - bytes);
  }

  #toBack(sender: T): void {
    this.#fresh.delete(sender);
    this.#waiting.delete(sender);
    this.#waiting.add(sender);
  }
}
