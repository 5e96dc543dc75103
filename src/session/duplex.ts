/**
 * A session as a Node Duplex, for `ssh2`'s `Client({ sock })` and everything else that takes a socket.
 *
 * Session Manager has no half-close: after `end()` what the far end still sends is delivered, and once it has been
 * silent for the grace time the session is ended. `destroy()` ends it at once. Either way the session is terminated
 * at the service.
 */
import { Duplex } from 'node:stream';
import { ProxyError } from '../errors.ts';
import type { Session, SessionOutcome } from './session.ts';

/** Silence of the far end after `end()` until the session is ended. Milliseconds. */
export const HALF_CLOSE_GRACE_MS = 1_000;

type WriteCallback = (error?: Error | null) => void;

export class SessionDuplex extends Duplex {
  #session: Session | undefined;
  #received: Buffer[] = [];
  /** Index of the first chunk in `#received` that has not been pushed. */
  #head = 0;
  #isReadingEnded = false;
  #wantsData = false;
  #onWritable: WriteCallback | undefined;
  #onDrained: WriteCallback | undefined;
  #isEnding = false;
  #hasSessionEnded = false;
  #graceTimer: NodeJS.Timeout | undefined;

  constructor() {
    super({ allowHalfOpen: true, emitClose: true });
  }

  /** ID of the session, for logs and for the AWS console. */
  get sessionId(): string {
    return this.#session?.sessionId ?? '';
  }

  /** @internal The session that carries this stream; before anything is read or written. */
  attach(session: Session): void {
    this.#session = session;
  }

  /** @internal Stream bytes from the session. */
  deliver(data: Buffer): void {
    if (this.destroyed) return;
    this.#received.push(data);
    this.#deliverMore();
    if (this.#isEnding) this.#startGrace();
  }

  /** @internal */
  resumeWriting(): void {
    const callback = this.#onWritable;
    this.#onWritable = undefined;
    callback?.();
  }

  /** @internal */
  drained(): void {
    const callback = this.#onDrained;
    this.#onDrained = undefined;
    callback?.();
  }

  /** @internal */
  sessionEnded(outcome: SessionOutcome): void {
    this.#hasSessionEnded = true;
    clearTimeout(this.#graceTimer);
    if (outcome.kind === 'failed') {
      this.destroy(outcome.error);
      return;
    }
    this.resumeWriting();
    this.drained();
    this.#deliverMore();
    if (!this.writableEnded) this.end();
  }

  override _read(): void {
    this.#wantsData = true;
    this.#deliverMore();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    if (this.#hasSessionEnded) {
      callback(new ProxyError('SESSION_ENDED', `session ${this.sessionId} has ended`));
      return;
    }
    // The caller may use its buffer again; the session keeps what it is given.
    if (this.#session?.write(Buffer.from(chunk)) === false) this.#onWritable = callback;
    else callback();
  }

  override _final(callback: WriteCallback): void {
    this.#isEnding = true;
    const { unackedMessages = 0, pendingBytes = 0 } = this.#session?.stats() ?? {};
    const finish = (): void => {
      if (!this.#hasSessionEnded) this.#startGrace();
      callback();
    };
    if (this.#hasSessionEnded || (unackedMessages === 0 && pendingBytes === 0)) finish();
    else this.#onDrained = finish;
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    clearTimeout(this.#graceTimer);
    this.#received = [];
    const done = (): void => callback(error);
    if (this.#session === undefined || this.#hasSessionEnded) done();
    else void this.#session.terminate().then(done);
  }

  #startGrace(): void {
    clearTimeout(this.#graceTimer);
    this.#graceTimer = setTimeout(() => {
      if (this.#received.length > 0) this.#startGrace();
      else void this.#session?.terminate();
    }, HALF_CLOSE_GRACE_MS);
  }

  #endReading(): void {
    if (this.#isReadingEnded) return;
    this.#isReadingEnded = true;
    this.push(null);
  }

  #deliverMore(): void {
    while (this.#wantsData) {
      const data = this.#received[this.#head];
      if (data === undefined) break;
      this.#head += 1;
      this.#wantsData = this.push(data);
      this.#session?.consumed(data.length);
    }
    if (this.#head === this.#received.length || this.#head >= 1024) {
      this.#received = this.#received.slice(this.#head);
      this.#head = 0;
    }
    if (this.#hasSessionEnded && this.#received.length === 0) this.#endReading();
  }
}
