/** Public keys that EC2 Instance Connect has put on nodes: each for one user, and for 60 s of service time. */
import type { ServiceClock } from './service-clock.ts';

export interface PushedKey {
  readonly instanceId: string;
  readonly user: string;
  readonly type: string;
  readonly blob: Buffer;
}

const LIFETIME_MS = 60_000;
const MAX_KEYS = 1_000;

export class PushedKeys {
  readonly #clock: ServiceClock;
  readonly #keys = new Set<PushedKey>();
  readonly #onChange: (() => void)[] = [];

  constructor(clock: ServiceClock) {
    this.#clock = clock;
  }

  /** The same key again has a lifetime of its own. */
  add(key: PushedKey): void {
    const [oldest] = this.#keys;
    if (this.#keys.size >= MAX_KEYS && oldest !== undefined) this.#keys.delete(oldest);
    this.#keys.add(key);
    this.#clock.setLifetime(LIFETIME_MS, () => {
      this.#keys.delete(key);
      this.#changed();
    });
    this.#changed();
  }

  /** Those that are valid now. */
  of(instanceId: string, user: string): readonly PushedKey[] {
    return [...this.#keys].filter((key) => key.instanceId === instanceId && key.user === user);
  }

  list(): readonly PushedKey[] {
    return [...this.#keys];
  }

  onChange(listener: () => void): void {
    this.#onChange.push(listener);
  }

  #changed(): void {
    for (const listener of this.#onChange) listener();
  }
}
