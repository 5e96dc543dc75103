/**
 * One forwarded connection as a Duplex. What carries it (mux-carrier.ts, basic-carrier.ts) counts bytes as taken only
 * when the reader asks for them, so that a slow reader shows there.
 *
 * `end()` says that no more is written and keeps reading; the far end may or may not learn of it before it has
 * answered (mux/half-close.ts). After the far end has closed, what is written is lost (`lostBytes`), as it would be on
 * a TCP connection. The event `answer` comes once, with the first sign of the far end: a byte, or its close.
 */
import { Duplex } from 'node:stream';
import type { ProxyError } from '../errors.ts';

/** The way to the far end, for one stream. Called with nothing after `close`. */
export interface StreamRoute {
  /** Bytes do not change afterwards. False: wait for `resumeWriting`. */
  write(data: Buffer): boolean;
  end(): void;
  close(): void;
  taken(bytes: number): void;
}

type Callback = (error?: Error | null) => void;

/** Bytes pushed to the reader at once. */
const PUSH_BYTES = 64 * 1024;

export class ForwardStream extends Duplex {
  readonly #route: StreamRoute;
  #received: Buffer[] = [];
  #wantsData = false;
  #isFlushPlanned = false;
  #isFarEndClosed = false;
  #isReadingEnded = false;
  #onWritable: Callback | undefined;
  #hasAnswered = false;
  #lostBytes = 0;

  constructor(route: StreamRoute) {
    super({ allowHalfOpen: true });
    this.#route = route;
  }

  /** Bytes that were written when the far end had closed already. */
  get lostBytes(): number {
    return this.#lostBytes;
  }

  /** Bytes from the far end. Passed on once per turn of the event loop, however many messages they came in. */
  deliver(data: Buffer): void {
    if (this.destroyed) return;
    this.#answered();
    this.#received.push(data);
    this.#planFlush();
  }

  /** The far end has closed; all of its bytes have been delivered. */
  farEndClosed(): void {
    this.#isFarEndClosed = true;
    this.#answered();
    this.resumeWriting();
    this.#planFlush();
  }

  resumeWriting(): void {
    const callback = this.#onWritable;
    this.#onWritable = undefined;
    callback?.();
  }

  /** The connection is broken. Nothing is read any more. */
  fail(error: ProxyError): void {
    this.#isFarEndClosed = true;
    this.destroy(error);
  }

  override _read(): void {
    this.#wantsData = true;
    if (this.#received.length > 0 || this.#isFarEndClosed) this.#planFlush();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    if (this.#isFarEndClosed) {
      this.#lostBytes += chunk.length;
      callback();
      return;
    }
    // Kept until it is sent; the writer may use its buffer again.
    if (this.#route.write(Buffer.from(chunk))) callback();
    else this.#onWritable = callback;
  }

  override _final(callback: Callback): void {
    if (!this.#isFarEndClosed) this.#route.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#received = [];
    this.#onWritable = undefined;
    this.#route.close();
    callback(error);
  }

  #answered(): void {
    if (this.#hasAnswered) return;
    this.#hasAnswered = true;
    this.emit('answer');
  }

  #planFlush(): void {
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    setImmediate(() => {
      this.#isFlushPlanned = false;
      if (!this.destroyed) this.#flush();
    });
  }

  #flush(): void {
    let next = 0;
    while (this.#wantsData && next < this.#received.length) {
      const piece: Buffer[] = [];
      let bytes = 0;
      for (; next < this.#received.length && bytes < PUSH_BYTES; next += 1) {
        const data = this.#received[next];
        if (data === undefined) break;
        piece.push(data);
        bytes += data.length;
      }
      const [only] = piece;
      this.#wantsData = this.push(
        piece.length === 1 && only !== undefined ? only : Buffer.concat(piece, bytes),
      );
      this.#route.taken(bytes);
    }
    this.#received.splice(0, next);
    if (this.#isFarEndClosed && this.#received.length === 0 && !this.#isReadingEnded) {
      this.#isReadingEnded = true;
      this.push(null);
    }
  }
}
