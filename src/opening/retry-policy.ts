/**
 * Which failures of getting in are worth another try, and when: pure policy.
 *
 * | failure | wait before the next try |
 * | --- | --- |
 * | TargetNotConnected: a node that boots, an agent that flaps | 1 s, growing to 3 s |
 * | throttled | 1 s, doubling to 8 s: the bucket is the account's, others wait for it too |
 * | no network, DNS, TCP, 5xx | 0.5 s, doubling to 4 s |
 *
 * Everything else (permissions, credentials, documents, certificates, instances that are gone) stays wrong however
 * often one asks, and ends the attempt at once.
 */
import { isTransient } from '../aws/errors.ts';
import type { ProxyError } from '../errors.ts';

interface Pace {
  readonly firstMs: number;
  readonly factor: number;
  readonly longestMs: number;
}

const NOT_CONNECTED: Pace = { firstMs: 1_000, factor: 1.4, longestMs: 3_000 };
const THROTTLED: Pace = { firstMs: 1_000, factor: 2, longestMs: 8_000 };
const TROUBLE: Pace = { firstMs: 500, factor: 2, longestMs: 4_000 };
/** Part of a wait that is left to chance, so that many clients do not come back in step. */
const JITTER = 0.5;
/** A try needs about this long: nearer to the end of the budget none is begun. Milliseconds. */
const LAST_TRY_MS = 500;
/** Shorter waits than this are not worth a try of their own. Milliseconds. */
const SHORTEST_WAIT_MS = 200;

/**
 * Milliseconds before the next try; undefined: this failure is final. `failures` counts those of this kind in a row,
 * this one included; `random` is uniform in [0, 1).
 */
export function retryDelayMs(error: ProxyError, failures: number, random: number): number | undefined {
  const pace = paceOf(error);
  if (pace === undefined) return undefined;
  const fullMs = Math.min(pace.longestMs, pace.firstMs * pace.factor ** (failures - 1));
  return fullMs * (1 - JITTER / 2 + JITTER * random);
}

/** The wait as the rest of the budget allows it, so that a last try comes before its end; undefined: give up now. */
export function fitDelayMs(delayMs: number, remainingMs: number): number | undefined {
  const roomMs = remainingMs - LAST_TRY_MS;
  if (delayMs <= roomMs) return delayMs;
  return roomMs >= SHORTEST_WAIT_MS ? roomMs : undefined;
}

function paceOf(error: ProxyError): Pace | undefined {
  if (error.code === 'TARGET_NOT_CONNECTED') return NOT_CONNECTED;
  if (error.code === 'THROTTLED') return THROTTLED;
  return isTransient(error) ? TROUBLE : undefined;
}
