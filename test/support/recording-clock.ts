/**
 * The system's clock, noting every delay that was asked for: shows which waits happen without timing them. Time can
 * be skipped, for what compares times; timers go on as they are.
 */
import { systemClock } from '../../src/clock.ts';
import type { Clock } from '../../src/clock.ts';

export class RecordingClock implements Clock {
  /** Milliseconds, in order. */
  readonly delays: number[] = [];

  #skippedMs = 0;

  now(): number {
    return systemClock.now() + this.#skippedMs;
  }

  skip(ms: number): void {
    this.#skippedMs += ms;
  }

  wallNow(): number {
    return systemClock.wallNow();
  }

  setTimer(delayMs: number, callback: () => void) {
    this.delays.push(delayMs);
    return systemClock.setTimer(delayMs, callback);
  }
}
