/**
 * One smux stream of the emulated agent joined to one TCP connection, and the queue of frames that all streams
 * share on the way to the pump. Half of agent-mux.ts, which opens, dials and closes them.
 */
import type { Clock } from '../clock.ts';
import { encodeFrame, FRAME_COMMAND, SENT_FRAME_DATA_BYTES } from '../mux/frame.ts';
import type { PumpSource } from './agent-source.ts';
import { BLOCKED_WRITE_BYTES, closeConnection } from './agent-tcp.ts';
import type { NodeConnection } from './agent-tcp.ts';

/** Bytes waiting for the pump above which servers are not read: the buffers of the real agent's unix socket. */
const OUTPUT_LIMIT_BYTES = 256 * 1024;

/** Frames on their way to the pump, as one byte stream. */
export class MuxOutput implements PumpSource {
  onReady: () => void = () => {};
  readonly #onRoom: () => void;
  #frames: Buffer[] = [];
  #bytes = 0;
  #isEnded = false;

  /** `onRoom` is called when the queue falls below its limit. */
  constructor(onRoom: () => void) {
    this.#onRoom = onRoom;
  }

  get isFull(): boolean {
    return this.#bytes >= OUTPUT_LIMIT_BYTES;
  }

  get state(): PumpSource['state'] {
    return this.#isEnded && this.#bytes === 0 ? 'end' : 'open';
  }

  push(frame: Buffer): void {
    if (this.#isEnded) return;
    this.#frames.push(frame);
    this.#bytes += frame.length;
    this.onReady();
  }

  /** smux closed its connection: what is queued is still read, then the pump sees the end. */
  end(): void {
    this.#isEnded = true;
    this.onReady();
  }

  read(maxBytes: number): Buffer | undefined {
    const first = this.#frames[0];
    if (first === undefined) return undefined;
    const wasFull = this.isFull;
    let data: Buffer;
    if (first.length > maxBytes) {
      data = first.subarray(0, maxBytes);
      this.#frames[0] = first.subarray(maxBytes);
    } else {
      data = this.#takeWhole(maxBytes);
    }
    this.#bytes -= data.length;
    if (wasFull && !this.isFull) this.#onRoom();
    return data;
  }

  /** As a read from a socket: several frames at once where they fit, the last one in part. */
  #takeWhole(maxBytes: number): Buffer {
    const taken: Buffer[] = [];
    let room = maxBytes;
    let whole = 0;
    for (const frame of this.#frames) {
      if (room === 0) break;
      if (frame.length > room) {
        taken.push(frame.subarray(0, room));
        this.#frames[whole] = frame.subarray(room);
        break;
      }
      taken.push(frame);
      room -= frame.length;
      whole += 1;
    }
    this.#frames.splice(0, whole);
    const [only] = taken;
    return taken.length === 1 && only !== undefined ? only : Buffer.concat(taken);
  }
}

export interface MuxStreamOptions {
  readonly streamId: number;
  readonly clock: Clock;
  readonly output: MuxOutput;
  /** Bytes that came to wait for the server, or (negative) no longer do. */
  readonly onBuffered: (bytes: number) => void;
  /** The server's side is over: all of its data is in the output queue. Called at most once. */
  readonly onClosed: () => void;
}

export class MuxStream {
  readonly streamId: number;
  readonly #options: MuxStreamOptions;
  #socket: NodeConnection | undefined;
  /** Data for the server that its connection does not take yet. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isEndedByClient = false;
  #isClosed = false;

  constructor(options: MuxStreamOptions) {
    this.streamId = options.streamId;
    this.#options = options;
  }

  /** Joins the stream to its connection, which has no reader yet. */
  attach(socket: NodeConnection): void {
    if (this.#isClosed) {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#send(chunk));
    socket.once('end', () => this.#finish());
    socket.once('close', () => this.#finish());
    socket.on('drain', () => this.#flush());
    this.#flush();
    this.resume();
  }

  /** Data from the client; kept until the server takes it. */
  write(data: Buffer): void {
    if (this.#isClosed || data.length === 0) return;
    this.#waiting.push(data);
    this.#waitingBytes += data.length;
    this.#options.onBuffered(data.length);
    this.#flush();
  }

  /** The client's FIN: once its data is written the connection is closed in both directions. */
  endByClient(): void {
    this.#isEndedByClient = true;
    this.#flush();
  }

  /** The output queue has room again. */
  resume(): void {
    if (!this.#options.output.isFull) this.#socket?.resume();
  }

  /** Closes the connection; what waits for it is dropped, what was written is delivered. */
  close(): void {
    this.#drop();
    if (this.#socket !== undefined) closeConnection(this.#socket, this.#options.clock);
  }

  destroy(): void {
    this.#drop();
    this.#socket?.destroy();
  }

  #send(chunk: Buffer): void {
    const { output } = this.#options;
    // After the client's FIN nothing more of the server reaches it.
    if (this.#isClosed) return;
    for (let at = 0; at < chunk.length; at += SENT_FRAME_DATA_BYTES) {
      const data = chunk.subarray(at, at + SENT_FRAME_DATA_BYTES);
      output.push(encodeFrame(FRAME_COMMAND.PSH, this.streamId, data));
    }
    if (output.isFull) this.#socket?.pause();
  }

  #flush(): void {
    const socket = this.#socket;
    if (socket === undefined || this.#isClosed) return;
    let written = 0;
    for (const data of this.#waiting) {
      if (!socket.writable || socket.writableLength >= BLOCKED_WRITE_BYTES) break;
      socket.write(data);
      written += 1;
      this.#waitingBytes -= data.length;
      this.#options.onBuffered(-data.length);
    }
    this.#waiting.splice(0, written);
    if (this.#isEndedByClient && this.#waiting.length === 0) this.#finish();
  }

  #finish(): void {
    if (this.#isClosed) return;
    this.close();
    this.#options.onClosed();
  }

  #drop(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const bytes = this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (bytes > 0) this.#options.onBuffered(-bytes);
  }
}
