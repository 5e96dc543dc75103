/**
 * This process in the queue for StartSession (gate/start-gate.ts): one turn for each try, and the time for it.
 *
 * Waiting for a turn does not count against the connect timeout, up to a bound of its own, unless an ssh is waiting
 * too: its time goes on. Who would have to wait longer than that is told so at once.
 */
import type { AwsContext } from '../aws/context.ts';
import type { Clock } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import { accountOfKey, fingerprint } from '../gate/identity.ts';
import { StartGate } from '../gate/start-gate.ts';
import type { ReservedTurn } from '../gate/start-gate.ts';
import type { Log } from '../log.ts';
import { formatSeconds } from './persist.ts';
import { sleep } from './sleep.ts';
import type { TimeBudget } from './time-budget.ts';

export interface StartQueueParts {
  /** Of gate/runtime-directory.ts; undefined: no queue. */
  readonly directory: string | undefined;
  /** 0: no queue. */
  readonly startsPerSecond: number;
  /** Longest wait for turns; undefined: it counts against the budget. Milliseconds. */
  readonly queueTimeoutMs: number | undefined;
  readonly budget: TimeBudget;
  readonly clock: Clock;
  readonly log: Log;
  /** A few words for a status line. */
  readonly enter: (stage: string) => void;
}

/** Loading what StartSession needs takes less than this. Milliseconds. */
const READY_AHEAD_MS = 700;
/** Shorter waits are not worth a word. Milliseconds. */
const WORTH_SAYING_MS = 500;

export class StartQueue {
  readonly #parts: StartQueueParts;
  readonly #gates = new Map<string, StartGate | undefined>();
  #gate: StartGate | undefined;
  #turn: ReservedTurn | undefined;
  /** The last try had its turn and AWS throttled it: it need not queue again. */
  #keepsTurn = false;
  #queuedMs = 0;
  /** The error of `join` when the turn is too far away. */
  refusal: ProxyError | undefined;

  constructor(parts: StartQueueParts) {
    this.#parts = parts;
  }

  /** Milliseconds until the turn that is reserved; 0 without one. */
  get patienceMs(): number {
    return Math.max(0, this.#turn?.delayMs ?? 0);
  }

  /** Reserves a turn, unless one is. THROTTLED when it is too far away; the errors of credentials. */
  async join(context: AwsContext): Promise<void> {
    if (this.#turn !== undefined || this.#keepsTurn) return;
    this.#gate = await this.#gateFor(context);
    const turn = this.#gate?.reserve(this.#longestMs());
    if (typeof turn === 'number') {
      this.refusal = queueFull(turn);
      throw this.refusal;
    }
    this.#turn = turn;
  }

  /** A part of the wait for the turn, spent on something else. Rejects with CANCELLED. */
  pause(delayMs: number): Promise<void> {
    const { clock, budget } = this.#parts;
    return this.#outside(() => sleep(clock, delayMs, budget.signal));
  }

  /** Resolves shortly before this process's turn, in time to get ready; as `join`, and CANCELLED. */
  async approach(context: AwsContext): Promise<void> {
    await this.join(context);
    const delayMs = this.#turn?.delayMs ?? 0;
    if (delayMs > WORTH_SAYING_MS) {
      this.#parts.enter(`waiting for a turn to start a session (${formatSeconds(delayMs)})`);
    }
    await this.#waitUntil(READY_AHEAD_MS);
  }

  /** Resolves when the call may leave. Once for each `approach`. */
  async go(): Promise<void> {
    await this.#waitUntil(0);
    this.#turn = undefined;
    this.#keepsTurn = false;
    const departMs = Math.min(this.#gate?.departMs() ?? 0, this.#longestMs());
    if (departMs > 0) await this.pause(departMs);
    if (this.#queuedMs > 0) this.#parts.log.debug('turn', { queuedMs: Math.round(this.#queuedMs) });
  }

  /** AWS has throttled the call of this turn. */
  throttled(): void {
    this.#gate?.throttled();
    this.#keepsTurn = true;
  }

  /** Gives back what was reserved and not used. */
  leave(): void {
    this.#turn?.giveBack();
    this.#turn = undefined;
  }

  async #waitUntil(aheadMs: number): Promise<void> {
    const turn = this.#turn;
    if (turn === undefined || turn.delayMs <= aheadMs) return;
    await this.#outside(() => turn.wait(aheadMs, this.#longestMs(), this.#parts.budget.signal));
  }

  async #outside(wait: () => Promise<void>): Promise<void> {
    const { budget, clock, queueTimeoutMs } = this.#parts;
    const startedAt = clock.now();
    try {
      await (queueTimeoutMs === undefined ? wait() : budget.outside(wait));
    } finally {
      this.#queuedMs += clock.now() - startedAt;
    }
  }

  #longestMs(): number {
    const { queueTimeoutMs, budget } = this.#parts;
    return queueTimeoutMs === undefined ? budget.remainingMs : Math.max(0, queueTimeoutMs - this.#queuedMs);
  }

  async #gateFor(context: AwsContext): Promise<StartGate | undefined> {
    const { directory, startsPerSecond, clock, log } = this.#parts;
    if (directory === undefined || startsPerSecond === 0) return undefined;
    const { region } = context;
    const known = this.#gates.get(region);
    if (known !== undefined) return known;
    const { accessKeyId } = await context.credentials();
    const key = fingerprint(accountOfKey(accessKeyId), region, context.endpoint('SSM') ?? '');
    const gate = new StartGate({ directory, key, perSecond: startsPerSecond, clock, log });
    this.#gates.set(region, gate);
    return gate;
  }
}

function queueFull(delayMs: number): ProxyError {
  const ahead = `the next turn at StartSession is in ${formatSeconds(delayMs)}`;
  return new ProxyError('THROTTLED', `too many sessions are being started from this machine: ${ahead}`, {
    hint: 'try again later, or raise the ConnectTimeout of ssh; if AWS allows the account more calls, raise --start-rate',
  });
}
