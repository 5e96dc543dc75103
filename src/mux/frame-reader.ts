/**
 * Reads frames as they arrive: the data of a long frame is passed on piece by piece, since the agent sends one of
 * 32 KiB in 33 messages a millisecond apart. Holds no more than a part of a header.
 */
import { FRAME_COMMAND, FRAME_HEADER_BYTES, decodeHeader } from './frame.ts';
import type { FrameHeader } from './frame.ts';

export interface FrameReaderEvents {
  onOpen(streamId: number): void;
  /** A piece of a stream's data, never empty. Aliases what was read. */
  onData(streamId: number, data: Buffer): void;
  onFin(streamId: number): void;
  onKeepalive(): void;
}

export class FrameReader {
  readonly #events: FrameReaderEvents;
  readonly #partial = Buffer.alloc(FRAME_HEADER_BYTES);
  #partialBytes = 0;
  /** Of the frame whose data is being read. */
  #streamId = 0;
  #dataBytesLeft = 0;

  constructor(events: FrameReaderEvents) {
    this.#events = events;
  }

  /** Reads all of `chunk`. Throws PROTOCOL_ERROR; the stream cannot be read on after that. */
  read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      at += this.#dataBytesLeft > 0 ? this.#readData(chunk, at) : this.#readHeader(chunk, at);
    }
  }

  #readData(chunk: Buffer, at: number): number {
    const data = chunk.subarray(at, at + this.#dataBytesLeft);
    this.#dataBytesLeft -= data.length;
    this.#events.onData(this.#streamId, data);
    return data.length;
  }

  #readHeader(chunk: Buffer, at: number): number {
    if (this.#partialBytes === 0 && chunk.length - at >= FRAME_HEADER_BYTES) {
      this.#begin(decodeHeader(chunk, at));
      return FRAME_HEADER_BYTES;
    }
    const taken = chunk.copy(this.#partial, this.#partialBytes, at);
    this.#partialBytes += taken;
    if (this.#partialBytes === FRAME_HEADER_BYTES) {
      this.#partialBytes = 0;
      this.#begin(decodeHeader(this.#partial, 0));
    }
    return taken;
  }

  #begin({ command, streamId, dataBytes }: FrameHeader): void {
    switch (command) {
      case FRAME_COMMAND.SYN:
        return this.#events.onOpen(streamId);
      case FRAME_COMMAND.FIN:
        return this.#events.onFin(streamId);
      case FRAME_COMMAND.NOP:
        return this.#events.onKeepalive();
      case FRAME_COMMAND.PSH:
        this.#streamId = streamId;
        this.#dataBytesLeft = dataBytes;
    }
  }
}
