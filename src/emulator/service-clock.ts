/**
 * The service's own time: a wall clock that can be set off from the machine's (signature skew), and lifetimes that
 * can be compressed ("the hourly close" in a second). Everything else in the emulator uses the plain clock.
 */
import type { Clock, TimerHandle } from '../clock.ts';

interface Lifetime {
  readonly startedAt: number;
  readonly durationMs: number;
  readonly callback: () => void;
  timer: TimerHandle;
}

export class ServiceClock {
  readonly plain: Clock;
  #offsetMs = 0;
  #speed = 1;
  /** Service time passed until `#changedAt`; it runs `#speed` times as fast since then. */
  #elapsed = 0;
  #changedAt: number;
  readonly #lifetimes = new Set<Lifetime>();

  constructor(plain: Clock) {
    this.plain = plain;
    this.#changedAt = plain.now();
  }

  /** Milliseconds since the epoch as the service sees it. */
  wallNow(): number {
    return this.plain.wallNow() + this.#offsetMs;
  }

  /** Milliseconds of service time; compressed when speed is above 1. */
  serviceNow(): number {
    return this.#elapsed + (this.plain.now() - this.#changedAt) * this.#speed;
  }

  get settings(): { readonly offsetMs: number; readonly speed: number } {
    return { offsetMs: this.#offsetMs, speed: this.#speed };
  }

  /** `offsetMs` is added to the wall clock; `speed` (above 0) divides every running and future lifetime. */
  set(settings: { readonly offsetMs?: number; readonly speed?: number }): void {
    if (settings.offsetMs !== undefined) this.#offsetMs = settings.offsetMs;
    if (settings.speed === undefined || settings.speed === this.#speed) return;
    this.#elapsed = this.serviceNow();
    this.#changedAt = this.plain.now();
    this.#speed = settings.speed;
    for (const lifetime of this.#lifetimes) {
      lifetime.timer.cancel();
      lifetime.timer = this.#arm(lifetime);
    }
  }

  /** A timer in service time. */
  setLifetime(durationMs: number, callback: () => void): TimerHandle {
    const lifetime: Lifetime = {
      startedAt: this.serviceNow(),
      durationMs,
      callback,
      timer: { cancel: () => {} },
    };
    lifetime.timer = this.#arm(lifetime);
    this.#lifetimes.add(lifetime);
    return {
      cancel: () => {
        lifetime.timer.cancel();
        this.#lifetimes.delete(lifetime);
      },
    };
  }

  /** No lifetime ends any more. */
  close(): void {
    for (const { timer } of this.#lifetimes) timer.cancel();
    this.#lifetimes.clear();
  }

  #arm(lifetime: Lifetime): TimerHandle {
    const leftMs = lifetime.startedAt + lifetime.durationMs - this.serviceNow();
    return this.plain.setTimer(leftMs / this.#speed, () => {
      // Timers are shortened to 2^31-1 ms and may fire a fraction early.
      if (lifetime.startedAt + lifetime.durationMs - this.serviceNow() > 1) {
        lifetime.timer = this.#arm(lifetime);
        return;
      }
      this.#lifetimes.delete(lifetime);
      lifetime.callback();
    });
  }
}
