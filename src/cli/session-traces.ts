/** The records of all sessions of a process that has several (session-trace.ts: of one). */
import type { Log } from '../log.ts';
import type { StartedSession } from '../open-session.ts';
import type { Environment } from './option-values.ts';
import { SessionTrace } from './session-trace.ts';
import { within } from './within.ts';

/** At the end, how long TerminateSession may still take to answer. Milliseconds. */
const TERMINATE_ANSWER_MS = 250;
/** Longest wait for the records to be removed, or left, on a slow disk. Milliseconds. */
const DISK_LIMIT_MS = 300;

export interface OneTrace {
  /** The session exists. */
  begin(started: StartedSession): void;
  /** The service has nothing left of it. May be called again. */
  over(): void;
}

export class SessionTraces {
  readonly #env: Environment;
  readonly #log: Log;
  readonly #wallClock: () => number;
  readonly #live = new Set<SessionTrace>();
  readonly #ending = new Set<Promise<void>>();
  #onNoneLive: () => void = () => {};
  #hasBegun = false;

  /** `wallClock`: ms since the epoch. */
  constructor(env: Environment, log: Log, wallClock: () => number) {
    this.#env = env;
    this.#log = log;
    this.#wallClock = wallClock;
  }

  /** There is, or was, a session. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** For a session that is about to be started. */
  open(destination: string): OneTrace {
    const trace = new SessionTrace(this.#env, this.#log, this.#wallClock);
    return {
      begin: (started) => {
        this.#hasBegun = true;
        this.#live.add(trace);
        trace.begin(started, destination);
      },
      over: () => {
        if (this.#live.delete(trace)) this.#end(trace, true);
        if (this.#live.size === 0) this.#onNoneLive();
      },
    };
  }

  /** Once all sessions are ended here: those that the service may still have keep their record. Never rejects. */
  async end(): Promise<void> {
    if (this.#live.size > 0) {
      await within(TERMINATE_ANSWER_MS, new Promise<void>((resolve) => (this.#onNoneLive = resolve)));
    }
    for (const trace of this.#live) this.#end(trace, false);
    this.#live.clear();
    await within(DISK_LIMIT_MS, Promise.all(this.#ending));
  }

  #end(trace: SessionTrace, isOver: boolean): void {
    const ending = trace.end(isOver).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}
