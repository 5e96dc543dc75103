/**
 * The record of this process's own session: made off the way to the first byte, gone when the service is known to
 * have ended the session. Trouble with it never reaches the session.
 */
import type { Log } from '../log.ts';
import type { StartedSession } from '../open-session.ts';
import type { Environment } from './option-values.ts';
import type { RecordFacts } from './session-registry.ts';

/** Written so long after the first byte, or after StartSession, whichever is first. Milliseconds. */
const AFTER_FIRST_BYTE_MS = 20;
const AFTER_START_MS = 300;

export class SessionTrace {
  readonly #env: Environment;
  readonly #log: Log;
  readonly #wallClock: () => number;
  #facts: RecordFacts | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hasHeard = false;
  /** Path of the record. */
  #written: Promise<string | undefined> | undefined;

  /** `wallClock`: ms since the epoch. */
  constructor(env: Environment, log: Log, wallClock: () => number) {
    this.#env = env;
    this.#log = log;
    this.#wallClock = wallClock;
  }

  /** There is, or was, a session. */
  get hasBegun(): boolean {
    return this.#facts !== undefined;
  }

  /**
   * The session exists. Its record comes a little later, when there is time; that of a shared one, which no connection
   * waits for, at once.
   */
  begin(started: StartedSession, destination: string, { isShared = false } = {}): void {
    this.#facts = { started, destination, startedAt: this.#wallClock(), isShared };
    if (isShared) this.#writeNow();
    else this.#writeAfter(AFTER_START_MS);
  }

  /** Resolves when a record that has been begun is in its place, or cannot be written. */
  async recorded(): Promise<void> {
    await this.#written;
  }

  /** The far end has spoken: there will be time soon, when that has been passed on. Cheap when called again. */
  firstByte(): void {
    if (this.#hasHeard || this.#facts === undefined) return;
    this.#hasHeard = true;
    this.#writeAfter(AFTER_FIRST_BYTE_MS);
  }

  /** The session has ended here. `isOver`: at the service too; else the record stays, or is made, as its trace. */
  async end(isOver: boolean): Promise<void> {
    clearTimeout(this.#timer);
    if (!isOver) this.#writeNow();
    const path = await this.#written;
    if (!isOver || path === undefined) return;
    const { removeRecord } = await import('./session-registry.ts');
    await removeRecord(path);
  }

  #writeAfter(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#writeNow(), delayMs);
    this.#timer.unref();
  }

  #writeNow(): void {
    if (this.#facts !== undefined) this.#written ??= this.#write(this.#facts);
  }

  async #write(facts: RecordFacts): Promise<string | undefined> {
    try {
      const { writeSessionRecord } = await import('./session-registry.ts');
      return await writeSessionRecord(this.#env, facts);
    } catch (error) {
      this.#log.info('session_not_recorded', { reason: error instanceof Error ? error.message : '' });
      return undefined;
    }
  }
}
