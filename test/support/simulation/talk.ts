/**
 * What a simulated session carries: bulk both ways at once, or a dialogue. The user's end of it; the server's is
 * far-end.ts. A talk never throws: what is wrong is kept in `failure`.
 */
import type { Session } from '../../../src/session/session.ts';
import type { Traffic } from '../fault-cases.ts';
import type { Random } from '../random.ts';
import { randomInteger } from '../random.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import { FarEnd, StreamCheck } from './far-end.ts';

export interface TalkOptions {
  readonly clock: VirtualClock;
  readonly random: Random;
  /** Bytes each way for bulk. */
  readonly bytes: number;
  readonly rounds: number;
  /** Between two writes of bulk, or before the next line of a dialogue, in ms. */
  readonly pauseMs: number;
  /** How long user and server take for each piece that they read, in ms. */
  readonly readDelayMs: number;
  /** Called with 0 to 1, how much of it is done. */
  readonly onProgress: (done: number) => void;
}

export interface Talk {
  readonly isDone: boolean;
  readonly failure: Error | undefined;
  /** What the agent gets when it dials. */
  dial(): FarEnd;
  begin(session: Session): void;
  received(data: Buffer): void;
  writable(): void;
}

/** The same for all: filling buffers would cost more than sending them. */
const NOISE_BYTES = 1 << 20;
const noise = ((): Buffer => {
  const bytes = Buffer.alloc(NOISE_BYTES);
  let state = 1;
  for (let at = 0; at < NOISE_BYTES; at += 4) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
    bytes.writeInt32LE(state | 0, at);
  }
  return bytes;
})();

function noiseOf(random: Random, bytes: number): Buffer {
  const start = randomInteger(random, 0, NOISE_BYTES - bytes);
  return noise.subarray(start, start + bytes);
}

export function createTalk(traffic: Traffic, options: TalkOptions): Talk {
  return traffic === 'bulk' ? new BulkTalk(options) : new DialogueTalk(options);
}

abstract class BaseTalk implements Talk {
  failure: Error | undefined;
  protected readonly options: TalkOptions;
  protected session: Session | undefined;

  constructor(options: TalkOptions) {
    this.options = options;
  }

  abstract readonly isDone: boolean;
  abstract dial(): FarEnd;
  protected abstract go(): void;
  protected abstract take(data: Buffer): void;

  begin(session: Session): void {
    this.session = session;
    this.go();
  }

  writable(): void {}

  received(data: Buffer): void {
    this.guard(() => this.take(data));
    const { clock, readDelayMs } = this.options;
    const taken = (): void => this.session?.consumed(data.length);
    if (readDelayMs === 0) taken();
    else clock.setTimer(readDelayMs, taken);
  }

  protected guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }
}

class BulkTalk extends BaseTalk {
  readonly #upload: Buffer;
  readonly #download: Buffer;
  readonly #uploaded: StreamCheck;
  readonly #downloaded: StreamCheck;
  #offset = 0;

  constructor(options: TalkOptions) {
    super(options);
    this.#upload = noiseOf(options.random, options.bytes);
    this.#download = noiseOf(options.random, options.bytes);
    this.#uploaded = new StreamCheck('upload', this.#upload);
    this.#downloaded = new StreamCheck('download', this.#download);
  }

  override get isDone(): boolean {
    return this.#uploaded.isComplete && this.#downloaded.isComplete;
  }

  override dial(): FarEnd {
    const { clock, readDelayMs } = this.options;
    const onData = (data: Buffer): void =>
      this.guard(() => {
        this.#uploaded.take(data);
        this.#progress();
      });
    return new FarEnd({ clock, download: this.#download, onData, readDelayMs });
  }

  override writable(): void {
    this.go();
  }

  protected override go(): void {
    const { clock, random, pauseMs } = this.options;
    while (this.#offset < this.#upload.length) {
      const end = this.#offset + randomInteger(random, 1, 5000);
      const piece = this.#upload.subarray(this.#offset, end);
      this.#offset += piece.length;
      if (this.session?.write(piece) === false) return;
      if (pauseMs === 0) continue;
      clock.setTimer(pauseMs, () => this.go());
      return;
    }
  }

  protected override take(data: Buffer): void {
    this.#downloaded.take(data);
    this.#progress();
  }

  #progress(): void {
    const bytes = this.#uploaded.bytes + this.#downloaded.bytes;
    this.options.onProgress(bytes / (2 * this.options.bytes));
  }
}

class DialogueTalk extends BaseTalk {
  #round = 0;
  #echo = new StreamCheck('echo', Buffer.alloc(0));

  override get isDone(): boolean {
    return this.#round > this.options.rounds;
  }

  override dial(): FarEnd {
    const { clock, readDelayMs } = this.options;
    return new FarEnd({ clock, download: undefined, onData: () => {}, readDelayMs });
  }

  protected override go(): void {
    const { random, rounds, onProgress } = this.options;
    this.#round += 1;
    onProgress((this.#round - 1) / rounds);
    if (this.isDone) return;
    const said = noiseOf(random, randomInteger(random, 1, 40));
    this.#echo = new StreamCheck(`echo of round ${this.#round}`, said);
    this.session?.write(said);
  }

  protected override take(data: Buffer): void {
    this.#echo.take(data);
    if (!this.#echo.isComplete) return;
    const { clock, pauseMs } = this.options;
    clock.setTimer(pauseMs, () => this.go());
  }
}
