/**
 * Signs of life, or their absence: pure policy.
 *
 * - A clock that jumped means that the machine slept: the link is checked at once instead of at the next ping.
 * - Unacknowledged data and nothing at all from the far end: the link may be one that carries nothing any more, though
 *   its pongs come (an expired route at the service). It is replaced, ever more rarely: the same silence comes from a
 *   server that stopped reading, and then no link is better than another.
 * - A silence that goes on, or a link that cannot be had again: the state of instance and agent is looked up.
 */

/** Silence with unacknowledged data after which the link is replaced; doubles each time. ssh with ServerAliveInterval 5
 * and ServerAliveCountMax 3 waits 15 s. Milliseconds. */
export const STALL_MS = 9_000;
const STALL_MAX_MS = 300_000;
/** Silence, or time without a link, after which the instance is looked up; then every so often. */
export const LOOKUP_AFTER_MS = 20_000;
const LOOKUP_INTERVAL_MS = 30_000;
/** Difference between two clocks, or between a timer and its time, that means sleep. */
export const JUMP_MS = 5_000;

export interface LifeFacts {
  readonly isLinkUp: boolean;
  readonly hasUnacked: boolean;
  /** We do not read: the far end's silence is ours. */
  readonly isReadingPaused: boolean;
  /** Grows whenever the far end received or sent something new. */
  readonly progress: number;
}

export type LifeVerdict = 'well' | 'replaceLink' | 'lookUp';

export class LifeWatch {
  #progress = -1;
  #silentSince: number;
  #stallMs = STALL_MS;
  #stallAt = Infinity;
  #lookupAt = Infinity;
  #seenNow: number;
  #seenWall: number;

  constructor(now: number, wallNow: number) {
    this.#silentSince = now;
    this.#seenNow = now;
    this.#seenWall = wallNow;
  }

  /** How long nothing has come although something should, in ms. */
  silentMs(now: number): number {
    return now - this.#silentSince;
  }

  /** True when the machine slept since the last look. `dueAt`: when this look was planned. */
  hasJumped(now: number, wallNow: number, dueAt: number): boolean {
    const ahead = wallNow - this.#seenWall - (now - this.#seenNow);
    this.#seenNow = now;
    this.#seenWall = wallNow;
    return ahead > JUMP_MS || now - dueAt > JUMP_MS;
  }

  /** Takes note of the facts; cheap, for every input. */
  observe(now: number, facts: LifeFacts): void {
    const isWaiting = (facts.hasUnacked || !facts.isLinkUp) && !facts.isReadingPaused;
    if (isWaiting && facts.progress === this.#progress && this.#lookupAt !== Infinity) return;
    if (facts.progress !== this.#progress) this.#stallMs = STALL_MS;
    this.#progress = facts.progress;
    this.#silentSince = now;
    this.#stallAt = isWaiting ? now + this.#stallMs : Infinity;
    this.#lookupAt = isWaiting ? now + LOOKUP_AFTER_MS : Infinity;
  }

  verdict(now: number, facts: LifeFacts): LifeVerdict {
    this.observe(now, facts);
    if (now >= this.#lookupAt) {
      this.#lookupAt = now + LOOKUP_INTERVAL_MS;
      return 'lookUp';
    }
    if (now >= this.#stallAt && facts.isLinkUp) {
      this.#stallMs = Math.min(STALL_MAX_MS, this.#stallMs * 2);
      this.#stallAt = now + this.#stallMs;
      return 'replaceLink';
    }
    return 'well';
  }

  /** When to ask for a verdict; undefined when all is well. Without a link there is none to replace. */
  deadline(isLinkUp: boolean): number | undefined {
    const at = Math.min(this.#lookupAt, isLinkUp ? this.#stallAt : Infinity);
    return at === Infinity ? undefined : at;
  }
}
