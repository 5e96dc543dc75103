/**
 * The way to StartSession, shared by all processes of the user on this machine: calls leave one by one, at the rate
 * that AWS allows for the account, in the order of asking. Who comes alone does not wait.
 *
 * Nobody is ever stopped by trouble with the directory: whoever cannot reserve a turn goes at once.
 */
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { sleep } from '../opening/sleep.ts';
import { SharedText } from './shared-text.ts';
import type { Turn, TurnRate, TurnState } from './turns.ts';
import { depart, formatTurns, parseTurns, putOffAll, reserveTurn, returnTurn, turnTime } from './turns.ts';

/** A quiet account lets this many calls through at once; AWS's own bucket holds a few more. */
const BURST = 2;

export interface StartGateParts {
  readonly directory: string;
  /** Of the account, region and endpoint. */
  readonly key: string;
  /** StartSession calls per second. */
  readonly perSecond: number;
  readonly clock: Clock;
  readonly log: Log;
}

export class StartGate {
  readonly #parts: StartGateParts;
  readonly #rate: TurnRate;
  readonly #shared: SharedText;

  constructor(parts: StartGateParts) {
    this.#parts = parts;
    this.#rate = { perSecond: parts.perSecond, burst: BURST };
    // Processes that were given another rate have turns of their own.
    this.#shared = new SharedText(
      parts.directory,
      `start-${parts.key}-${String(parts.perSecond).replace('.', '-')}`,
    );
  }

  /**
   * Reserves the next turn; a number when that is so many ms away, more than `longestMs`. Undefined: go at once, there
   * is no gate.
   */
  reserve(longestMs: number): ReservedTurn | number | undefined {
    const nowMs = this.#wallNow();
    let outcome: ReturnType<typeof reserveTurn> | undefined;
    const isShared = this.#try('gate_reserve', () =>
      this.#shared.update((text) => {
        outcome = reserveTurn(parseTurns(text), this.#rate, nowMs, nowMs + longestMs);
        return outcome.turn === undefined ? undefined : formatTurns(outcome.state);
      }),
    );
    if (isShared !== true || outcome === undefined) return undefined;
    if (outcome.turn === undefined) return outcome.atMs - nowMs;
    return new ReservedTurn(outcome.turn, this);
  }

  /** AWS has throttled a call: everybody slows down. */
  throttled(): void {
    const nowMs = this.#wallNow();
    this.#try('gate_slow_down', () =>
      this.#shared.update((text) => formatTurns(putOffAll(parseTurns(text), nowMs))),
    );
  }

  /** A call is ready: milliseconds until it may leave. Each call asks once. */
  departMs(): number {
    const nowMs = this.#wallNow();
    let atMs = nowMs;
    const isShared = this.#try('gate_depart', () =>
      this.#shared.update((text) => {
        const departure = depart(parseTurns(text), this.#rate, nowMs);
        atMs = departure.atMs;
        return formatTurns(departure.state);
      }),
    );
    return isShared === true ? Math.max(0, atMs - nowMs) : 0;
  }

  /** @internal */
  async waitFor(turn: Turn, aheadMs: number, longestMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const endAt = clock.now() + longestMs;
    for (;;) {
      // It may have been put off meanwhile.
      const delayMs = Math.min(this.delayMs(turn) - aheadMs, endAt - clock.now());
      if (delayMs <= 0) return;
      await sleep(clock, delayMs, signal);
    }
  }

  /** @internal Milliseconds until the turn, as things are now. */
  delayMs(turn: Turn): number {
    const state = this.#try('gate_look', () => parseTurns(this.#shared.read()));
    return turnTime(turn, state) - this.#wallNow();
  }

  /** @internal */
  giveBack(turn: Turn): void {
    this.#try('gate_return', () =>
      this.#shared.update((text) => {
        const state: TurnState | undefined = returnTurn(parseTurns(text), turn, this.#rate);
        return state === undefined ? undefined : formatTurns(state);
      }),
    );
  }

  #wallNow(): number {
    return this.#parts.clock.wallNow();
  }

  #try<T>(what: string, action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      this.#parts.log.debug(what, { error: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  }
}

/** A place in the queue. */
export class ReservedTurn {
  readonly #turn: Turn;
  readonly #gate: StartGate;

  constructor(turn: Turn, gate: StartGate) {
    this.#turn = turn;
    this.#gate = gate;
  }

  /** Milliseconds until it is there, as things are now; 0 or less: it is there. */
  get delayMs(): number {
    return this.#gate.delayMs(this.#turn);
  }

  /** Resolves `aheadMs` before it is there, after `longestMs` at the latest. Rejects with CANCELLED. */
  wait(aheadMs: number, longestMs: number, signal: AbortSignal): Promise<void> {
    return this.#gate.waitFor(this.#turn, aheadMs, longestMs, signal);
  }

  /** It will not be used. */
  giveBack(): void {
    this.#gate.giveBack(this.#turn);
  }
}
