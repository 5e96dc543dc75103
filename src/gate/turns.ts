/**
 * Turns at a call that AWS throttles for the whole account: a token bucket in which each taker reserves the next free
 * time, so that the order is that of asking. Pure: a state in, a state out, times in ms since the epoch.
 *
 * On a busy machine processes come late to their turns, and then several at once. So a second bucket, a copy of the
 * one at AWS, spaces the calls as they really leave.
 *
 * When AWS throttles all the same (others use the account too), everybody who waits is put off a little, and turns
 * come further apart until it has been quiet for a while.
 */

export interface TurnRate {
  /** Turns per second. */
  readonly perSecond: number;
  /** Turns that may come at once after a quiet time. */
  readonly burst: number;
}

export interface TurnState {
  /** When the next turn is free. */
  readonly nextMs: number;
  /** When the next call may leave. */
  readonly departMs: number;
  /** All that those who wait have been put off by, ever. */
  readonly putOffMs: number;
  /** How many times further apart turns are than the rate says, just after the last throttle. */
  readonly slowdown: number;
  readonly throttledAtMs: number;
}

export interface Turn {
  /** When it is; in the past for "now". */
  readonly atMs: number;
  /** `putOffMs` when it was reserved: what came on top since counts. */
  readonly putOffMs: number;
}

/** How far everybody is put off by one throttled call; those within this time of each other count once. */
export const PUT_OFF_MS = 1_000;
const SLOW_DOWN_BY = 1.3;
const MAX_SLOWDOWN = 6;
/** The slowdown halves in this time. */
const RECOVERY_MS = 15_000;
/** A state that books turns so far ahead is from a clock that was set back. */
const MAX_AHEAD_MS = 3_600_000;

const FRESH: TurnState = { nextMs: 0, departMs: 0, putOffMs: 0, slowdown: 1, throttledAtMs: 0 };

/** The next free turn; undefined, and nothing reserved, when that is after `latestMs`. */
export function reserveTurn(
  known: TurnState | undefined,
  rate: TurnRate,
  nowMs: number,
  latestMs: number,
): { readonly turn: Turn; readonly state: TurnState } | { readonly turn: undefined; readonly atMs: number } {
  const state = usable(known, nowMs);
  const intervalMs = intervalAt(state, rate, nowMs);
  // Turns that nobody took in the last moments are still there: the burst.
  const atMs = Math.max(state.nextMs, nowMs - (rate.burst - 1) * intervalMs);
  if (atMs > latestMs) return { turn: undefined, atMs };
  return {
    turn: { atMs, putOffMs: state.putOffMs },
    state: { ...state, nextMs: atMs + intervalMs },
  };
}

/** A call is ready to leave: it may at `atMs`, in the past for "now". */
export function depart(
  known: TurnState | undefined,
  rate: TurnRate,
  nowMs: number,
): { readonly atMs: number; readonly state: TurnState } {
  const state = usable(known, nowMs);
  const intervalMs = intervalAt(state, rate, nowMs);
  const atMs = Math.max(state.departMs, nowMs - (rate.burst - 1) * intervalMs);
  return { atMs, state: { ...state, departMs: atMs + intervalMs } };
}

/** Gives a turn back that will not be used; undefined when others have reserved after it. */
export function returnTurn(known: TurnState | undefined, turn: Turn, rate: TurnRate): TurnState | undefined {
  if (known === undefined || known.putOffMs !== turn.putOffMs) return undefined;
  const isLast = known.nextMs - turn.atMs <= (1_000 / rate.perSecond) * 1.01;
  return isLast ? { ...known, nextMs: turn.atMs } : undefined;
}

/** AWS throttled a call just now. */
export function putOffAll(known: TurnState | undefined, nowMs: number): TurnState {
  const state = usable(known, nowMs);
  if (nowMs - state.throttledAtMs < PUT_OFF_MS) return state;
  return {
    nextMs: Math.max(state.nextMs, nowMs) + PUT_OFF_MS,
    departMs: Math.max(state.departMs, nowMs) + PUT_OFF_MS,
    putOffMs: state.putOffMs + PUT_OFF_MS,
    slowdown: Math.min(MAX_SLOWDOWN, slowdownAt(state, nowMs) * SLOW_DOWN_BY),
    throttledAtMs: nowMs,
  };
}

/** When a turn is after all that happened since it was reserved. */
export function turnTime(turn: Turn, state: TurnState | undefined): number {
  return turn.atMs + Math.max(0, (state?.putOffMs ?? 0) - turn.putOffMs);
}

export function formatTurns({ nextMs, departMs, putOffMs, slowdown, throttledAtMs }: TurnState): string {
  return ['1', nextMs.toFixed(1), departMs.toFixed(1), putOffMs, slowdown.toFixed(3), throttledAtMs].join(
    ' ',
  );
}

/** Undefined for what is not ours, or of another version. */
export function parseTurns(text: string | undefined): TurnState | undefined {
  const match = /^1 (\d+\.?\d*) (\d+\.?\d*) (\d+) (\d+\.\d+) (\d+)$/.exec(text ?? '');
  if (match === null) return undefined;
  const [nextMs = 0, departMs = 0, putOffMs = 0, slowdown = 1, throttledAtMs = 0] = match
    .slice(1)
    .map(Number);
  return { nextMs, departMs, putOffMs, slowdown: Math.max(1, slowdown), throttledAtMs };
}

function usable(state: TurnState | undefined, nowMs: number): TurnState {
  if (state === undefined) return FRESH;
  const furthestMs = Math.max(state.nextMs, state.departMs);
  const isSane = furthestMs <= nowMs + MAX_AHEAD_MS && state.throttledAtMs <= nowMs + PUT_OFF_MS;
  return isSane ? state : FRESH;
}

function intervalAt(state: TurnState, rate: TurnRate, nowMs: number): number {
  return (1_000 / rate.perSecond) * slowdownAt(state, nowMs);
}

function slowdownAt({ slowdown, throttledAtMs }: TurnState, nowMs: number): number {
  return Math.max(1, slowdown * 0.5 ** (Math.max(0, nowMs - throttledAtMs) / RECOVERY_MS));
}
