/** A clock that stands still until it is told to go on. */
import type { Clock, TimerHandle } from '../../src/clock.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** More timers than that in one moment: somebody asks to be woken for what is never done. */
const STANDSTILL_TIMERS = 20_000;

export class VirtualClock implements Clock {
  #now = 1000;
  #order = 0;
  /** Timers that ran since time last moved. */
  #ranNow = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return 1_730_000_000_000 + this.#now;
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    const timer = { at: this.#now + Math.max(0, delayMs), order: this.#order, callback };
    this.#order += 1;
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Runs timers in order up to `ms` from now, then stands there. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) this.#run(next);
    this.#now = end;
  }

  /** As `advance`, letting promises settle after each timer. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#run(next);
      await settle();
    }
    this.#now = end;
  }

  /** Runs timers, letting promises settle after each, until `isOver`, or nothing is left up to `ms` from now. */
  async runUntil(isOver: () => boolean, ms: number): Promise<boolean> {
    const end = this.#now + ms;
    for (;;) {
      await settle();
      if (isOver()) return true;
      const next = this.#next(end);
      if (next === undefined) return false;
      this.#run(next);
    }
  }

  #run(timer: Timer): void {
    this.#timers.delete(timer);
    this.#ranNow = timer.at > this.#now ? 0 : this.#ranNow + 1;
    if (this.#ranNow > STANDSTILL_TIMERS) throw new Error(`time stands still at ${this.#now}`);
    this.#now = Math.max(this.#now, timer.at);
    timer.callback();
  }

  #next(end: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at > end) continue;
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order))
        next = timer;
    }
    return next;
  }
}

/** Lets pending promise callbacks run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
