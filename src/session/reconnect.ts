/**
 * When to try again and when to give up: pure policy. The first attempt is immediate, then the wait doubles with
 * jitter, so that many clients that lost the same network do not come back in step.
 */
import type { ErrorCode, ProxyError } from '../errors.ts';

/** Milliseconds. */
export const FIRST_RETRY_MS = 250;
export const LONGEST_RETRY_MS = 10_000;
/** A link that lived this long, or carried stream data, was a good one: its loss starts a new count. */
const GOOD_LINK_MS = 5_000;

/** Attempts and time spent on mending one loss, which may take several links. */
export class ResumeBudget {
  readonly #budgetMs: number;
  #startedAt: number | undefined;
  #attempts = 0;

  constructor(budgetMs: number) {
    this.#budgetMs = budgetMs;
  }

  get attempts(): number {
    return this.#attempts;
  }

  /** A link has gone (or never came up: `livedMs` 0). Times in ms, `now` in the session's clock. */
  linkLost(now: number, livedMs: number, hasCarriedData: boolean): void {
    if (this.#startedAt === undefined || hasCarriedData || livedMs >= GOOD_LINK_MS) {
      this.#startedAt = now;
      this.#attempts = 0;
    }
  }

  /** Wait before the next attempt in ms; undefined when the budget is spent. `random` is uniform in [0, 1). */
  nextDelayMs(now: number, random: number): number | undefined {
    const delayMs = retryDelayMs(this.#attempts, random);
    if (now + delayMs > (this.#startedAt ?? now) + this.#budgetMs) return undefined;
    this.#attempts += 1;
    return delayMs;
  }
}

/** Wait before attempt `attempt` (0 is the first), in ms. `random` is uniform in [0, 1). */
export function retryDelayMs(attempt: number, random: number): number {
  if (attempt === 0) return 0;
  const ceiling = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt - 1));
  return ceiling * (0.5 + random / 2);
}

/** Errors that no further attempt can mend. */
const FINAL_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'INTERNAL',
  'USAGE',
  'CONFIG_INVALID',
  'REGION_MISSING',
  'PROFILE_NOT_FOUND',
  'CREDENTIALS_MISSING',
  'CREDENTIALS_INVALID',
  'ACCESS_DENIED',
  'SESSION_GONE',
  'TLS_UNTRUSTED',
  'CANCELLED',
]);

export function isFinal(error: ProxyError): boolean {
  return FINAL_CODES.has(error.code);
}

/** Attempts after which a refusal is believed: the credentials were read anew for each. About 10 s in all. */
const REFUSED_ATTEMPTS = 6;

/**
 * Errors that end the attempts to resume a running session. Expired credentials do not: the user may log in again. A
 * refusal may come from old credentials that are being replaced at this moment, so it is believed after a few attempts.
 */
export function isFinalForResume(error: ProxyError, attempts: number): boolean {
  switch (error.code) {
    case 'ACCESS_DENIED':
    case 'CREDENTIALS_INVALID':
    case 'CREDENTIALS_MISSING':
      return attempts >= REFUSED_ATTEMPTS;
    default:
      return isFinal(error);
  }
}
