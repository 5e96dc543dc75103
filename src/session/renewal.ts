/**
 * When to renew the WebSocket before the service cuts it: pure policy, no timer of its own.
 *
 * The service closes every data channel after about 60 minutes. What is in flight at that moment is lost, and the
 * agent sends lost messages again at no more than 10 a second, so a cut during a big download stalls ssh for a minute
 * and more. A link that is dropped while nothing is in flight loses nothing. Therefore:
 *
 *   fresh --age--> watching: renew in the first idle gap
 *         --more age--> holding: make a gap. Delivery to the user stops, so that ssh's window (about 2 MiB) runs out
 *                       and the node falls silent; what we send stops too. Renew when all is acknowledged and quiet.
 *
 * A source that never falls silent (a raw forwarded stream has no window) cannot be renewed this way: the hold ends
 * after its bound, delivery goes on, and it is tried again later.
 */

export interface RenewalTimes {
  /** Age of a link from which an idle gap is used. */
  readonly watchAfterMs: number;
  /** Age from which a gap is made. */
  readonly holdAfterMs: number;
}

/** An idle gap is looked for from `watchAfterMs` on; a gap is made after a tenth more: 55 min for the usual 50. */
export function renewalTimes(watchAfterMs: number): RenewalTimes {
  return { watchAfterMs, holdAfterMs: watchAfterMs * 1.1 };
}

/** Silence in both directions that counts as an idle gap. */
const IDLE_GAP_MS = 1_000;
/** Longest hold: well under the 15 s after which ssh with ServerAliveInterval 5 gives up. */
const HOLD_MAX_MS = 7_000;
/** Bytes held back at the most: three times ssh's window. */
export const HOLD_LIMIT_BYTES = 6 * 1024 * 1024;
/** Silence that ends a hold: at least this, and two round trips more. */
const HOLD_QUIET_MS = 250;
const HOLD_RETRY_MS = 30_000;

export type RenewalDecision = 'wait' | 'hold' | 'release' | 'renew';

export interface RenewalFacts {
  /** Everything sent is acknowledged, and nothing received waits for a gap to close. */
  readonly isSettled: boolean;
  readonly heldBytes: number;
  readonly roundTripMs: number;
}

export class Renewal {
  readonly #times: RenewalTimes;
  #linkUpAt: number | undefined;
  #lastTrafficAt = 0;
  #holdingSince: number | undefined;
  #mayHoldAt = 0;

  constructor(times: RenewalTimes) {
    this.#times = times;
  }

  get isHolding(): boolean {
    return this.#holdingSince !== undefined;
  }

  linkUp(now: number): void {
    this.#linkUpAt = now;
    this.#lastTrafficAt = now;
    this.#mayHoldAt = now + this.#times.holdAfterMs;
    this.#holdingSince = undefined;
  }

  /** The link has gone, whoever dropped it. */
  linkDown(): void {
    this.#linkUpAt = undefined;
    this.#holdingSince = undefined;
  }

  /** Stream data was received, or new data given to the link. */
  traffic(now: number): void {
    this.#lastTrafficAt = now;
  }

  /** What to do now. `hold` and `release` are said once; after `renew` the link is expected to go down. */
  decide(now: number, facts: RenewalFacts): RenewalDecision {
    if (this.#linkUpAt === undefined || now < this.#linkUpAt + this.#times.watchAfterMs) return 'wait';
    const quietMs = now - this.#lastTrafficAt;
    if (this.#holdingSince !== undefined) return this.#decideHolding(now, quietMs, facts, this.#holdingSince);
    if (facts.isSettled && quietMs >= IDLE_GAP_MS) return 'renew';
    if (now < this.#mayHoldAt) return 'wait';
    this.#holdingSince = now;
    return 'hold';
  }

  /** When to ask `decide` again; undefined without a link. */
  deadline(now: number): number | undefined {
    if (this.#linkUpAt === undefined) return undefined;
    const watchAt = this.#linkUpAt + this.#times.watchAfterMs;
    if (now < watchAt) return watchAt;
    if (this.#holdingSince !== undefined) return now + HOLD_QUIET_MS / 2;
    return Math.max(now + IDLE_GAP_MS / 4, Math.min(this.#lastTrafficAt + IDLE_GAP_MS, this.#mayHoldAt));
  }

  #decideHolding(now: number, quietMs: number, facts: RenewalFacts, since: number): RenewalDecision {
    if (facts.isSettled && quietMs >= HOLD_QUIET_MS + 2 * facts.roundTripMs) return 'renew';
    if (now - since < HOLD_MAX_MS && facts.heldBytes < HOLD_LIMIT_BYTES) return 'wait';
    this.#holdingSince = undefined;
    this.#mayHoldAt = now + HOLD_RETRY_MS;
    return 'release';
  }
}
