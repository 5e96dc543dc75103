/**
 * Moves bytes between a pair of local streams and a session, with backpressure both ways.
 *
 * Session Manager has no half-close. After the end of the input what still arrives goes on to the output; when to
 * end the session then is the caller's decision (`onInputEnd`). What was delivered leaves in one write per turn of
 * the event loop, however many messages it came in.
 */
import type { Readable, Writable } from 'node:stream';

/** The part of a session that the pump uses. */
export interface PumpTarget {
  write(data: Buffer): boolean;
  consumed(bytes: number): void;
}

export interface PumpEvents {
  /** The input has ended, after all its bytes went to the session. */
  onInputEnd(): void;
  /** The reader of the output has gone. Called once. */
  onOutputGone(error: Error): void;
}

/** Input read before there is a session, in bytes; ssh's banner is 40. */
const EARLY_INPUT_BYTES = 64 * 1024;

export class Pump {
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #events: PumpEvents;
  #target: PumpTarget | undefined;
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #hasInputEnded = false;
  #isOutputGone = false;
  #delivered: Buffer[] = [];
  #isFlushScheduled = false;
  #unwrittenBytes = 0;
  #idleWaiters: (() => void)[] = [];

  readonly #onData = (chunk: Buffer): void => this.#read(chunk);
  readonly #onEnd = (): void => this.#inputEnded();

  constructor(input: Readable, output: Writable, events: PumpEvents) {
    this.#input = input;
    this.#output = output;
    this.#events = events;
  }

  get hasInputEnded(): boolean {
    return this.#hasInputEnded;
  }

  /** True while backpressure keeps the end of the input from being seen. */
  get isInputPaused(): boolean {
    return this.#input.isPaused();
  }

  /** Starts reading, before there is a session: the end of the input must be seen at any time. */
  start(): void {
    this.#output.on('error', (error) => this.#outputGone(error));
    this.#output.on('close', () => this.#outputGone(new Error('output closed')));
    // An input that fails (a vanished terminal) has ended.
    this.#input.on('error', this.#onEnd);
    this.#input.on('end', this.#onEnd);
    this.#input.on('close', this.#onEnd);
    this.#input.on('data', this.#onData);
  }

  /** From now on bytes go to `target`; what was read before goes first. */
  attach(target: PumpTarget): void {
    this.#target = target;
    let hasRoom = true;
    for (const chunk of this.#early) hasRoom = target.write(chunk);
    this.#early = [];
    if (hasRoom) this.#input.resume();
    else this.#input.pause();
    if (this.#hasInputEnded) this.#events.onInputEnd();
  }

  /** The session has room again. */
  onWritable(): void {
    this.#input.resume();
  }

  /** Stream bytes from the session. */
  deliver(data: Buffer): void {
    if (this.#isOutputGone) {
      this.#target?.consumed(data.length);
      return;
    }
    this.#delivered.push(data);
    this.#unwrittenBytes += data.length;
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    setImmediate(() => this.#flush());
  }

  /** Resolves when everything delivered has left, or the reader has gone. */
  flushed(): Promise<void> {
    if (this.#unwrittenBytes === 0 || this.#isOutputGone) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Bytes delivered and not yet taken by the reader. */
  get unwrittenBytes(): number {
    return this.#unwrittenBytes;
  }

  /** Stops reading and lets the streams go. */
  stop(): void {
    this.#input.off('data', this.#onData);
    this.#input.off('end', this.#onEnd);
    this.#input.off('close', this.#onEnd);
    this.#hasInputEnded = true;
    this.#input.pause();
    this.#input.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#target !== undefined) {
      if (!this.#target.write(chunk)) this.#input.pause();
      return;
    }
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes >= EARLY_INPUT_BYTES) this.#input.pause();
  }

  #inputEnded(): void {
    if (this.#hasInputEnded) return;
    this.#hasInputEnded = true;
    this.#events.onInputEnd();
  }

  #flush(): void {
    this.#isFlushScheduled = false;
    const chunks = this.#delivered;
    this.#delivered = [];
    if (this.#isOutputGone || chunks.length === 0) return;
    let bytes = 0;
    for (const chunk of chunks) bytes += chunk.length;
    // One joined write: cheaper than one per message, and the buffers of the messages are free at once.
    const [only] = chunks;
    const joined = chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, bytes);
    this.#output.write(joined, () => this.#written(bytes));
  }

  #written(bytes: number): void {
    this.#unwrittenBytes -= bytes;
    this.#target?.consumed(bytes);
    if (this.#unwrittenBytes === 0) this.#wake();
  }

  #outputGone(error: Error): void {
    if (this.#isOutputGone) return;
    this.#isOutputGone = true;
    this.#delivered = [];
    this.#wake();
    this.#events.onOutputGone(error);
  }

  #wake(): void {
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const wake of waiters) wake();
  }
}
