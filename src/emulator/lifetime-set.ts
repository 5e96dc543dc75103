/** Named lifetimes in service time. Each keeps its start when its duration changes, and can be started anew. */
import type { TimerHandle } from '../clock.ts';
import type { ServiceClock } from './service-clock.ts';

interface Lifetime {
  readonly startedAt: number;
  readonly timer: TimerHandle;
}

export class LifetimeSet {
  readonly #clock: ServiceClock;
  readonly #lifetimes = new Map<string, Lifetime>();

  constructor(clock: ServiceClock) {
    this.#clock = clock;
  }

  /**
   * Calls back `durationMs` after the lifetime's start; 0: never. `startedAt` (service time) counts, else the start
   * it has, else now. One that is overdue calls back at once.
   */
  arm(name: string, durationMs: number, callback: () => void, startedAt?: number): void {
    const running = this.#lifetimes.get(name);
    running?.timer.cancel();
    this.#lifetimes.delete(name);
    if (durationMs === 0) return;
    const now = this.#clock.serviceNow();
    const start = startedAt ?? running?.startedAt ?? now;
    const timer = this.#clock.setLifetime(Math.max(0, start + durationMs - now), callback);
    this.#lifetimes.set(name, { startedAt: start, timer });
  }

  /** The next `arm` of this name starts from then. */
  reset(name: string): void {
    this.#lifetimes.get(name)?.timer.cancel();
    this.#lifetimes.delete(name);
  }

  clear(): void {
    for (const { timer } of this.#lifetimes.values()) timer.cancel();
    this.#lifetimes.clear();
  }
}
