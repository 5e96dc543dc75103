/**
 * What nobody caught, rejected promises included (Node throws those too). A command that holds a session takes over
 * and ends it, within a limit; the error is then reported like any other.
 */
import { asProxyError } from '../errors.ts';
import type { ProxyError } from '../errors.ts';
import { limitEnd } from './end-process.ts';

/** How long a command may take to end what it holds. Milliseconds; less than the limit of limitEnd. */
const CLEAN_UP_LIMIT_MS = 1_700;

export class CrashGuard {
  /** Rejects with what was thrown: at once, or after the limit when a command has taken over. */
  readonly thrown: Promise<never>;
  #reject: (error: ProxyError) => void = () => {};
  #onCrash: ((error: ProxyError) => void) | undefined;
  #isCrashed = false;

  constructor() {
    this.thrown = new Promise((_resolve, reject) => {
      this.#reject = reject;
    });
    this.thrown.catch(() => {});
  }

  start(): void {
    process.on('uncaughtException', (error) => this.#crashed(asProxyError(error)));
  }

  /** The command ends by itself when something was thrown, with the error that it is given. */
  takeOver(onCrash: (error: ProxyError) => void): void {
    this.#onCrash = onCrash;
  }

  #crashed(error: ProxyError): void {
    // The first one is the cause of the others.
    if (this.#isCrashed) return;
    this.#isCrashed = true;
    limitEnd(error.exitStatus);
    if (this.#onCrash === undefined) {
      this.#reject(error);
      return;
    }
    setTimeout(() => this.#reject(error), CLEAN_UP_LIMIT_MS).unref();
    this.#onCrash(error);
  }
}
