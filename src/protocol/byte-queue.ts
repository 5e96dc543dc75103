/** Bytes in order, taken in pieces of any size. Holds references: what is pushed must not change any more. */
export class ByteQueue {
  #chunks: Buffer[] = [];
  #head = 0;
  #offset = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** The next `bytes` bytes, or all there are. A view where one chunk has them, else a copy. */
  take(bytes: number): Buffer {
    const wanted = Math.min(bytes, this.#length);
    const first = this.#chunks[this.#head];
    if (first === undefined) return Buffer.alloc(0);
    this.#length -= wanted;
    if (first.length - this.#offset >= wanted) return this.#takeFrom(first, wanted);
    const taken = Buffer.allocUnsafe(wanted);
    let filled = 0;
    while (filled < wanted) {
      const chunk = this.#chunks[this.#head];
      if (chunk === undefined) break;
      const piece = this.#takeFrom(chunk, Math.min(wanted - filled, chunk.length - this.#offset));
      taken.set(piece, filled);
      filled += piece.length;
    }
    return taken;
  }

  clear(): void {
    this.#chunks = [];
    this.#head = 0;
    this.#offset = 0;
    this.#length = 0;
  }

  #takeFrom(chunk: Buffer, bytes: number): Buffer {
    const piece = chunk.subarray(this.#offset, this.#offset + bytes);
    this.#offset += bytes;
    if (this.#offset === chunk.length) this.#dropHead();
    return piece;
  }

  #dropHead(): void {
    this.#offset = 0;
    this.#head += 1;
    // Compact now and then instead of shifting a long array for every chunk.
    if (this.#head === this.#chunks.length || this.#head >= 1024) {
      this.#chunks = this.#chunks.slice(this.#head);
      this.#head = 0;
    }
  }
}
