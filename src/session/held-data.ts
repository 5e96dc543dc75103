/** Stream data on its way to the user: passed on at once, or held back while a link is being renewed. */

export type Stream = 'stdout' | 'stderr';

export class HeldData {
  readonly #pass: (data: Buffer, stream: Stream) => void;
  #held: { readonly data: Buffer; readonly stream: Stream }[] = [];
  #bytes = 0;
  #isHolding = false;

  constructor(pass: (data: Buffer, stream: Stream) => void) {
    this.#pass = pass;
  }

  get isHolding(): boolean {
    return this.#isHolding;
  }

  get bytes(): number {
    return this.#bytes;
  }

  hold(): void {
    this.#isHolding = true;
  }

  deliver(data: Buffer, stream: Stream): void {
    if (!this.#isHolding) {
      this.#pass(data, stream);
      return;
    }
    this.#held.push({ data, stream });
    this.#bytes += data.length;
  }

  /** Passes on what was held, in order. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    this.#bytes = 0;
    this.#isHolding = false;
    for (const { data, stream } of held) this.#pass(data, stream);
  }
}
