/**
 * Credentials, kept until shortly before they expire. Where they come from is their source's business: a profile or the
 * environment (credentials.ts), or a role that is assumed with those (role-credentials.ts).
 */
import type { Log } from '../log.ts';
import { ProxyError } from '../errors.ts';

/** Secrets: never to be logged. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Undefined for credentials that do not expire, or do not say so. */
  readonly expiration?: Date;
  readonly accountId?: string;
}

export interface CredentialSource {
  /** Those that can be had without asking anybody, and have not expired. Throws as `fetch`. */
  local(): AwsCredentials | undefined;
  /** Asks anew. CREDENTIALS_*, CONFIG_INVALID, ACCESS_DENIED and others. */
  fetch(): Promise<AwsCredentials>;
}

/** Cached credentials are renewed when they have less than this left, as the SDKs do. Milliseconds. */
const RENEW_BEFORE_MS = 5 * 60_000;

export class CredentialStore {
  readonly #source: CredentialSource;
  readonly #log: Log;
  #cached: AwsCredentials | undefined;
  #pending: Promise<AwsCredentials> | undefined;

  constructor(source: CredentialSource, log: Log) {
    this.#source = source;
    this.#log = log;
  }

  /** What was last resolved, if it has not expired. */
  get current(): AwsCredentials | undefined {
    const left = timeLeftMs(this.#cached);
    return left > 0 ? this.#cached : undefined;
  }

  /** Cached ones while they have time left; near the end a renewal is tried and its failure borne until the end. */
  async get(): Promise<AwsCredentials> {
    const cached = this.#cached;
    if (cached !== undefined && timeLeftMs(cached) > RENEW_BEFORE_MS) return cached;
    try {
      return (cached === undefined ? this.#takeLocal() : undefined) ?? (await this.refresh());
    } catch (error) {
      const current = this.current;
      if (current === undefined) throw error;
      this.#log.warn('credentials-not-renewed', {
        code: error instanceof ProxyError ? error.code : '',
      });
      return current;
    }
  }

  /** Those that can be had without asking anybody; undefined when they cannot. */
  get ready(): AwsCredentials | undefined {
    try {
      return this.current ?? this.#takeLocal();
    } catch {
      return undefined;
    }
  }

  #takeLocal(): AwsCredentials | undefined {
    const local = this.#source.local();
    if (local !== undefined) this.#cached = local;
    return local;
  }

  /** Asks the source again. Calls at the same time share one answer. */
  refresh(): Promise<AwsCredentials> {
    this.#pending ??= this.#fetch().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #fetch(): Promise<AwsCredentials> {
    this.#cached = await this.#source.fetch();
    return this.#cached;
  }
}

/** Infinity for those that do not expire, 0 for none. */
export function timeLeftMs(credentials: AwsCredentials | undefined): number {
  if (credentials === undefined) return 0;
  return credentials.expiration === undefined ? Infinity : credentials.expiration.getTime() - Date.now();
}
