/**
 * Frames of smux version 1, as both official ends use them for port forwarding (protocol.md 6.7). Bytes only.
 *
 * Layout, little-endian, unlike everything around it:
 *
 *   offset  size  field
 *        0     1  version    1
 *        1     1  command    0 SYN, 1 FIN, 2 PSH, 3 NOP
 *        2     2  length     bytes of data; only PSH has data, the length of others is not read
 *        4     4  stream id  odd for streams of the client, 0 in NOP
 *        8     -  data
 *
 * Frames form one byte stream across messages: a frame may span messages, a message may hold several frames.
 */
import { ProxyError } from '../errors.ts';

export const FRAME_VERSION = 1;
export const FRAME_HEADER_BYTES = 8;
/** Longest data of a frame; what a receiver must take. */
export const MAX_FRAME_DATA_BYTES = 0xffff;
/** Longest data that smux puts into a frame. */
export const SENT_FRAME_DATA_BYTES = 32_768;

export const FRAME_COMMAND = {
  /** Opens a stream. */
  SYN: 0,
  /** The sender is done with the stream; the official agent then closes it in both directions. */
  FIN: 1,
  /** Data. */
  PSH: 2,
  /** Keepalive. */
  NOP: 3,
} as const;
export type FrameCommand = (typeof FRAME_COMMAND)[keyof typeof FRAME_COMMAND];

export interface Frame {
  readonly command: FrameCommand;
  readonly streamId: number;
  /** Empty unless the command is PSH. */
  readonly data: Buffer;
}

const OFFSET = { VERSION: 0, COMMAND: 1, LENGTH: 2, STREAM_ID: 4 } as const;
const NO_DATA = Buffer.alloc(0);

/**
 * Encodes one frame into a fresh buffer. `data` (PSH only) has at most MAX_FRAME_DATA_BYTES; a longer one is a bug
 * of the caller and throws RangeError.
 */
export function encodeFrame(command: FrameCommand, streamId: number, data: Uint8Array = NO_DATA): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + data.length);
  frame.writeUInt8(FRAME_VERSION, OFFSET.VERSION);
  frame.writeUInt8(command, OFFSET.COMMAND);
  frame.writeUInt16LE(data.length, OFFSET.LENGTH);
  frame.writeUInt32LE(streamId, OFFSET.STREAM_ID);
  frame.set(data, FRAME_HEADER_BYTES);
  return frame;
}

export interface FrameHeader {
  readonly command: FrameCommand;
  readonly streamId: number;
  /** Bytes of data that follow. */
  readonly dataBytes: number;
}

/** Decodes the header at `at`. Throws PROTOCOL_ERROR for a version or command that version 1 does not have. */
export function decodeHeader(buffer: Buffer, at: number): FrameHeader {
  const version = buffer.readUInt8(at + OFFSET.VERSION);
  if (version !== FRAME_VERSION) throw broken(`version ${version}`);
  const command = buffer.readUInt8(at + OFFSET.COMMAND);
  if (!isFrameCommand(command)) throw broken(`command ${command}`);
  return {
    command,
    streamId: buffer.readUInt32LE(at + OFFSET.STREAM_ID),
    dataBytes: command === FRAME_COMMAND.PSH ? buffer.readUInt16LE(at + OFFSET.LENGTH) : 0,
  };
}

/**
 * Cuts a byte stream into frames. Data is copied only where a frame spans chunks, once. After an error the stream
 * cannot be read on.
 */
export class FrameDecoder {
  /** Not yet taken; of the first chunk from `#at` on. */
  readonly #chunks: Buffer[] = [];
  #at = 0;
  #bytes = 0;

  /** Bytes pushed and not yet taken as frames. */
  get bufferedBytes(): number {
    return this.#bytes;
  }

  /** Adds received bytes. Keeps `chunk` until its frames are taken: the caller must not write to it again. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /**
   * The next whole frame, or undefined until more is pushed. Its data aliases pushed bytes. Throws PROTOCOL_ERROR
   * for a version or command that version 1 does not have.
   */
  next(): Frame | undefined {
    if (this.#bytes < FRAME_HEADER_BYTES) return undefined;
    const { buffer, at } = this.#first(FRAME_HEADER_BYTES);
    const { command, streamId, dataBytes } = decodeHeader(buffer, at);
    const frameBytes = FRAME_HEADER_BYTES + dataBytes;
    if (this.#bytes < frameBytes) return undefined;
    const whole = this.#first(frameBytes);
    const data = whole.buffer.subarray(whole.at + FRAME_HEADER_BYTES, whole.at + frameBytes);
    this.#drop(frameBytes);
    return { command, streamId, data };
  }

  /** The first `bytes` in one buffer; so many are there. Joins chunks only where it must. */
  #first(bytes: number): { readonly buffer: Buffer; readonly at: number } {
    const [first = NO_DATA] = this.#chunks;
    if (first.length - this.#at >= bytes) return { buffer: first, at: this.#at };
    const parts = [first.subarray(this.#at)];
    let joined = first.length - this.#at;
    let count = 1;
    for (; joined < bytes; count += 1) {
      const next = this.#chunks[count] ?? NO_DATA;
      parts.push(next);
      joined += next.length;
    }
    const buffer = Buffer.concat(parts, joined);
    this.#chunks.splice(0, count, buffer);
    this.#at = 0;
    return { buffer, at: 0 };
  }

  #drop(bytes: number): void {
    this.#bytes -= bytes;
    this.#at += bytes;
    const [first = NO_DATA] = this.#chunks;
    if (this.#at < first.length) return;
    this.#chunks.shift();
    this.#at = 0;
  }
}

function isFrameCommand(value: number): value is FrameCommand {
  return value <= FRAME_COMMAND.NOP;
}

function broken(reason: string): ProxyError {
  return new ProxyError('PROTOCOL_ERROR', `malformed smux frame: ${reason}`);
}
