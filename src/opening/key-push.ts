/**
 * A public key on the node by the time ssh logs in. It is valid there for 60 s, so it is pushed when the instance is
 * known, beside StartSession; again once there is a session, if the instance did not run before; and again before the
 * banner, if getting there took long. What the far end says is held back until then (held-back.ts).
 */
import type { AwsContext } from '../aws/context.ts';
import type { sendPublicKey } from '../aws/instance-connect.ts';
import type { Clock } from '../clock.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { persist } from './persist.ts';
import { retryDelayMs } from './retry-policy.ts';
import type { TimeBudget } from './time-budget.ts';

export interface KeyToPush {
  /** User of the node's operating system. */
  readonly user: string;
  /** One line: type and base64. */
  readonly publicKey: string;
}

export interface KeyPushParts {
  readonly budget: TimeBudget;
  readonly clock: Clock;
  readonly log: Log;
  /** A few words for a status line. */
  readonly enter: (stage: string) => void;
  /** For tests; default: EC2 Instance Connect's. */
  readonly send?: typeof sendPublicKey;
}

/** Of its 60 s, what must be left at the banner for key exchange and login. */
const GOOD_FOR_MS = 45_000;

export class KeyPush {
  readonly #prepare: () => Promise<KeyToPush>;
  readonly #parts: KeyPushParts;
  #place: { readonly context: AwsContext; readonly instanceId: string } | undefined;
  /** When the node had the key. */
  #pushedAt: Promise<number> = Promise.reject(new ProxyError('INTERNAL', 'no key was pushed'));

  /** `prepare` is called for every push. */
  constructor(prepare: () => Promise<KeyToPush>, parts: KeyPushParts) {
    this.#prepare = prepare;
    this.#parts = parts;
    this.#keep(this.#pushedAt);
  }

  /** The instance is known, and may be another one than before. */
  found(context: AwsContext, instanceId: string): void {
    this.#place = { context, instanceId };
    this.#keep(this.#push());
  }

  /** There is a session, so the instance runs. */
  granted(): void {
    this.#keep(this.#madeSure(this.#pushedAt));
  }

  /** Resolves when the node has the key for long enough; rejects with what stands in the way. */
  async ready(): Promise<void> {
    const pushedAt = await this.#pushedAt;
    if (this.#isGood(pushedAt)) return;
    this.#parts.log.info('push_key_again');
    await this.#persist();
  }

  async #madeSure(first: Promise<number>): Promise<number> {
    try {
      const pushedAt = await first;
      if (this.#isGood(pushedAt)) return pushedAt;
    } catch (thrown) {
      const error = asProxyError(thrown);
      const isPassing = error.code === 'TARGET_STOPPED' || retryDelayMs(error, 1, 0) !== undefined;
      if (!isPassing) throw error;
    }
    return this.#persist();
  }

  #persist(): Promise<number> {
    this.#parts.enter(`sending the public key to ${this.#place?.instanceId ?? 'the node'}`);
    return persist(() => this.#push(), this.#parts);
  }

  async #push(): Promise<number> {
    const { clock, log, budget } = this.#parts;
    const { context, instanceId } = this.#place ?? {};
    if (context === undefined || instanceId === undefined)
      throw new ProxyError('INTERNAL', 'no instance to push a key to');
    if (!instanceId.startsWith('i-')) {
      throw new ProxyError(
        'TARGET_INVALID',
        `no key can be pushed to ${instanceId}: it is not an EC2 instance`,
        {
          hint: 'EC2 Instance Connect knows only instances (i-...): leave out --push-key',
        },
      );
    }
    const { user, publicKey } = await this.#prepare();
    const send = this.#parts.send ?? (await import('../aws/instance-connect.ts')).sendPublicKey;
    const startedAt = clock.now();
    await send(context, { instanceId, user, publicKey }, { signal: budget.signal, isSingle: true });
    log.info('key_pushed', { instanceId, user });
    // The node may have it since the call began.
    return startedAt;
  }

  #isGood(pushedAt: number): boolean {
    return this.#parts.clock.now() - pushedAt < GOOD_FOR_MS;
  }

  /** It may fail while nobody waits. */
  #keep(pushedAt: Promise<number>): void {
    this.#pushedAt = pushedAt;
    pushedAt.catch(() => {});
  }
}
