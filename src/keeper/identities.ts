/**
 * The AWS identities that ask for sessions, each with its contexts: credentials, regions, connections that are still
 * warm. What identity a request has is in its key (share-key.ts), so one never gets what another has opened.
 */
import { providerEnvironment } from '../aws/provider-environment.ts';
import { regionOf, parseTarget } from '../aws/target.ts';
import type { AwsContext } from '../aws/context.ts';
import { targetContexts } from '../contexts.ts';
import type { Log } from '../log.ts';
import type { ConnectRequest } from './wire.ts';

/** The longest unused one goes when there are more. */
const MAX_IDENTITIES = 64;

export class Identities {
  readonly #log: Log;
  /** Least recently used first. */
  readonly #contexts = new Map<string, Promise<readonly AwsContext[]>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** One context for each region to search. REGION_MISSING, PROFILE_NOT_FOUND, CONFIG_INVALID, USAGE. */
  contexts(request: ConnectRequest): Promise<readonly AwsContext[]> {
    const key = `${request.identity} ${regionOf(parseTarget(request.target.target)) ?? ''}`;
    const contexts = this.#contexts.get(key) ?? this.#create(request, key);
    this.#contexts.delete(key);
    this.#contexts.set(key, contexts);
    this.#removeOld();
    return contexts;
  }

  close(): void {
    for (const contexts of this.#contexts.values()) closeAll(contexts);
    this.#contexts.clear();
  }

  #create({ target, env }: ConnectRequest, key: string): Promise<readonly AwsContext[]> {
    const created = targetContexts(target, { env, log: this.#log, providerEnvironment });
    // The files may be mended by the next time.
    created.catch(() => this.#contexts.delete(key));
    return created;
  }

  #removeOld(): void {
    for (const [key, contexts] of this.#contexts) {
      if (this.#contexts.size <= MAX_IDENTITIES) return;
      this.#contexts.delete(key);
      closeAll(contexts);
    }
  }
}

function closeAll(contexts: Promise<readonly AwsContext[]>): void {
  contexts.then(
    (all) => all.forEach((context) => context.close()),
    () => {},
  );
}
