/**
 * One direction of a link with latency and a bandwidth cap. Order is kept: nothing overtakes what was sent before,
 * also when the settings change in between. Without latency and cap, items pass at once.
 */
import type { Clock, TimerHandle } from '../clock.ts';

export interface LinkSettings {
  /** One way. */
  readonly latencyMs: number;
  /** 0: no cap. */
  readonly bytesPerSecond: number;
}

interface InFlight<T> {
  readonly item: T;
  readonly bytes: number;
  readonly dueAt: number;
}

export class LinkShaper<T> {
  readonly #clock: Clock;
  readonly #settings: () => LinkSettings;
  readonly #deliver: (item: T) => void;
  #queue: InFlight<T>[] = [];
  #head = 0;
  #queuedBytes = 0;
  #timer: TimerHandle | undefined;
  #isDelivering = false;
  /** When the last item has left the sender's side. */
  #sentAt = 0;
  #lastDueAt = 0;

  /** `settings` is read for every item. */
  constructor(clock: Clock, settings: () => LinkSettings, deliver: (item: T) => void) {
    this.#clock = clock;
    this.#settings = settings;
    this.#deliver = deliver;
  }

  /** Bytes on their way. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** `bytes` is what the item takes on the wire. */
  send(item: T, bytes: number): void {
    const { latencyMs, bytesPerSecond } = this.#settings();
    const isIdle = this.#timer === undefined && !this.#isDelivering;
    if (latencyMs === 0 && bytesPerSecond === 0 && isIdle) {
      this.#deliver(item);
      return;
    }
    const now = this.#clock.now();
    const transmitMs = bytesPerSecond === 0 ? 0 : (bytes * 1000) / bytesPerSecond;
    this.#sentAt = Math.max(this.#sentAt, now) + transmitMs;
    this.#lastDueAt = Math.max(this.#lastDueAt, this.#sentAt + latencyMs);
    this.#queue.push({ item, bytes, dueAt: this.#lastDueAt });
    this.#queuedBytes += bytes;
    if (isIdle) this.#arm(this.#lastDueAt - now);
  }

  /** Forgets what is on its way (the connection was cut). */
  clear(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#queue = [];
    this.#head = 0;
    this.#queuedBytes = 0;
    this.#sentAt = 0;
    this.#lastDueAt = 0;
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.#isDelivering = true;
      try {
        this.#deliverDue();
      } finally {
        this.#isDelivering = false;
      }
      const next = this.#queue[this.#head];
      if (next !== undefined) this.#arm(next.dueAt - this.#clock.now());
    });
  }

  #deliverDue(): void {
    const now = this.#clock.now();
    for (;;) {
      // Delivering may clear the queue (a cut) or add to it.
      const next = this.#queue[this.#head];
      if (next === undefined || next.dueAt > now) break;
      this.#head += 1;
      this.#queuedBytes -= next.bytes;
      this.#deliver(next.item);
    }
    if (this.#head >= 1024 || this.#head === this.#queue.length) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
