/**
 * The server behind the node's port, in memory: what the agent gets when it dials. It sends a known stream and checks
 * the one it gets, or repeats what it hears.
 */
import { Duplex } from 'node:stream';
import type { NodeConnection } from '../../../src/emulator/agent-tcp.ts';
import type { VirtualClock } from '../virtual-clock.ts';

type WriteCallback = (error?: Error | null) => void;

/** Compares a stream with what it should be, piece by piece. */
export class StreamCheck {
  readonly #expected: Buffer;
  readonly #what: string;
  #offset = 0;

  constructor(what: string, expected: Buffer) {
    this.#what = what;
    this.#expected = expected;
  }

  get isComplete(): boolean {
    return this.#offset === this.#expected.length;
  }

  get bytes(): number {
    return this.#offset;
  }

  /** Throws when the stream is not what it should be, with the place. */
  take(data: Buffer): void {
    const end = this.#offset + data.length;
    if (end > this.#expected.length) {
      throw new Error(`${this.#what}: ${end} bytes came, ${this.#expected.length} were sent`);
    }
    if (data.compare(this.#expected, this.#offset, end) !== 0) {
      throw new Error(`${this.#what} differs between bytes ${this.#offset} and ${end}`);
    }
    this.#offset = end;
  }
}

export interface FarEndOptions {
  readonly clock: VirtualClock;
  /** Undefined: an echo. */
  readonly download: Buffer | undefined;
  readonly onData: (data: Buffer) => void;
  /** How long it takes for each piece that it reads, in ms. */
  readonly readDelayMs: number;
}

const PIECE_BYTES = 8192;

export class FarEnd extends Duplex implements NodeConnection {
  readonly #options: FarEndOptions;
  #sent = 0;

  constructor(options: FarEndOptions) {
    super({ allowHalfOpen: true });
    this.#options = options;
  }

  destroySoon(): void {
    if (this.writableFinished) this.destroy();
    else this.end(() => this.destroy());
  }

  /** Its stream never ends by itself: an agent whose server has gone ends the session. */
  override _read(): void {
    const { download } = this.#options;
    if (download === undefined || this.#sent >= download.length) return;
    const piece = download.subarray(this.#sent, this.#sent + PIECE_BYTES);
    this.#sent += piece.length;
    this.push(piece);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    const { clock, download, onData, readDelayMs } = this.#options;
    // The agent's buffer may be one that is used again.
    const data = Buffer.from(chunk);
    const take = (): void => {
      onData(data);
      if (download === undefined) this.push(data);
      callback();
    };
    if (readDelayMs === 0) take();
    else clock.setTimer(readDelayMs, take);
  }
}
