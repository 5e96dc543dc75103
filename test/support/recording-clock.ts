/** The system's clock, noting every delay that was asked for: shows which waits happen without timing them. */
import { systemClock } from '../../src/clock.ts';
import type { Clock } from '../../src/clock.ts';

export class RecordingClock implements Clock {
  /** Milliseconds, in order. */
  readonly delays: number[] = [];

  now(): number {
    return systemClock.now();
  }

  wallNow(): number {
    return systemClock.wallNow();
  }

  setTimer(delayMs: number, callback: () => void) {
    this.delays.push(delayMs);
    return systemClock.setTimer(delayMs, callback);
  }
}
