/**
 * How the real agent cuts terminal output: on UTF-8 boundaries (protocol.md 6.1). A possibly unfinished tail of up
 * to 3 bytes is held for the next chunk; invalid bytes before that pass through. Its slip is kept: of a genuine
 * U+FFFD only the first byte gets through, as the agent takes the character for its decoder's error mark.
 */

/** Longest UTF-8 sequence. */
const MAX_SEQUENCE_BYTES = 4;
const REPLACEMENT_CHARACTER = 0xfffd;

export class Utf8Regrouper {
  #held = Buffer.alloc(0);

  /** Bytes that belong before the next chunk and count as output, such as a prefix. */
  insert(bytes: Buffer): void {
    this.#held = Buffer.concat([this.#held, bytes]);
  }

  /** The bytes to send now; may be empty. */
  push(chunk: Buffer): Buffer {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const output: Buffer[] = [];
    let from = 0;
    let at = 0;
    while (at < bytes.length) {
      const length = characterLength(bytes, at);
      if (length > 0) {
        at += length;
        continue;
      }
      if (bytes.length - at < MAX_SEQUENCE_BYTES) break;
      output.push(bytes.subarray(from, at + 1));
      at += length === 0 ? 1 : -length;
      from = at;
    }
    output.push(bytes.subarray(from, at));
    this.#held = Buffer.from(bytes.subarray(at));
    const [only] = output;
    return output.length === 1 && only !== undefined ? only : Buffer.concat(output);
  }
}

/** Length of the character at `at`; 0 when it is none; negative for a genuine replacement character. */
function characterLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const [minimum, lead] =
    length === 4 ? [0x10000, first & 0x07] : length === 3 ? [0x800, first & 0x0f] : [0x80, first & 0x1f];
  if (first < 0xc2 || first > 0xf4 || at + length > bytes.length) return 0;
  let code = lead;
  for (let i = 1; i < length; i += 1) {
    const next = bytes[at + i] ?? 0;
    if ((next & 0xc0) !== 0x80) return 0;
    code = (code << 6) | (next & 0x3f);
  }
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < minimum || code > 0x10ffff || isSurrogate) return 0;
  return code === REPLACEMENT_CHARACTER ? -length : length;
}
