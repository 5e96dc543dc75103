/**
 * Messages as masked binary WebSocket frames (RFC 6455 5.2), many in one buffer: one write, one TLS record, one copy.
 *
 * `ws` makes two small writes per message and masks byte by byte. The mask key is unpredictable and new for every frame
 * (RFC 6455 5.3).
 */
import { randomFillSync } from 'node:crypto';

/** FIN and opcode 2. */
const BINARY = 0x82;
const MASKED = 0x80;
/** Length fields: up to this the length itself, else one of the two marks and 2 or 8 bytes. */
const SHORT_MAX = 125;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const KEY_BYTES = 4;
/** Longest header. */
const HEADER_MAX = 2 + 8 + KEY_BYTES;
const KEY_POOL_BYTES = 4096;
const WORD = 4;

const keyPool = Buffer.alloc(KEY_POOL_BYTES);
let keyAt = KEY_POOL_BYTES;

/** One fresh buffer with a frame for each message, in order. */
export function joinFrames(messages: readonly Buffer[]): Buffer {
  let room = 0;
  for (const message of messages) room += HEADER_MAX + message.length;
  // Memory of its own, from its start: the words below are aligned then.
  const bytes = Buffer.allocUnsafeSlow(room);
  const words = new Int32Array(bytes.buffer, 0, Math.floor(room / WORD));
  let at = 0;
  for (const message of messages) at = appendFrame(bytes, words, at, message);
  return bytes.subarray(0, at);
}

function appendFrame(bytes: Buffer, words: Int32Array, start: number, message: Buffer): number {
  const { length } = message;
  bytes[start] = BINARY;
  let at = start + 2;
  if (length <= SHORT_MAX) bytes[start + 1] = MASKED | length;
  else if (length <= 0xffff) {
    bytes[start + 1] = MASKED | LENGTH_16;
    at = bytes.writeUInt16BE(length, at);
  } else {
    bytes[start + 1] = MASKED | LENGTH_64;
    bytes.writeUInt32BE(0, at);
    at = bytes.writeUInt32BE(length, at + 4);
  }
  const key = takeKey();
  for (let i = 0; i < KEY_BYTES; i += 1) bytes[at + i] = keyPool[key + i] ?? 0;
  at += KEY_BYTES;
  bytes.set(message, at);
  mask(bytes, words, at, at + length, key);
  return at + length;
}

/** XORs bytes `from` to `to` with the key, in words where they are whole. */
function mask(bytes: Buffer, words: Int32Array, from: number, to: number, key: number): void {
  let at = from;
  for (; at < to && at % WORD !== 0; at += 1) maskByte(bytes, at, keyPool[key + ((at - from) & 3)]);
  // The key as it stands over a whole word, in this machine's byte order.
  for (let i = 0; i < WORD; i += 1) rotated[i] = keyPool[key + ((at - from + i) & 3)] ?? 0;
  const keyWord = rotatedWord[0] ?? 0;
  const end = Math.floor(to / WORD);
  for (let i = at / WORD; i < end; i += 1) words[i] = (words[i] ?? 0) ^ keyWord;
  for (at = Math.max(at, end * WORD); at < to; at += 1) maskByte(bytes, at, keyPool[key + ((at - from) & 3)]);
}

function maskByte(bytes: Buffer, at: number, keyByte: number | undefined): void {
  bytes[at] = (bytes[at] ?? 0) ^ (keyByte ?? 0);
}

const rotated = new Uint8Array(WORD);
const rotatedWord = new Int32Array(rotated.buffer);

/** Place of the next key in the pool. */
function takeKey(): number {
  if (keyAt === KEY_POOL_BYTES) {
    randomFillSync(keyPool);
    keyAt = 0;
  }
  keyAt += KEY_BYTES;
  return keyAt - KEY_BYTES;
}
