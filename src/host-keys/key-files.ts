/**
 * Host keys that were read before, by instance and by who asks whom: never by address, which may be another machine's
 * tomorrow. Files as those of lookups (gate/lookup-files.ts), in a folder of their own.
 */
import type { AwsContext } from '../aws/context.ts';
import { ERROR_TABLE } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { fingerprint } from '../gate/identity.ts';
import { LookupFiles } from '../gate/lookup-files.ts';
import { lookupGroup } from '../opening/known-instance.ts';
import type { HostKey } from './public-keys.ts';
import { parseHostKeys } from './public-keys.ts';

/** Keys of an instance hardly ever change, and a key that is not among them has them read again. Milliseconds. */
export const KEY_LIFE_MS = 24 * 3_600_000;
/** Whoever lacks a permission lacks it for a while. Milliseconds. */
const DENIAL_LIFE_MS = 3_600_000;
/** Both questions of one ssh, and not much more. Milliseconds. */
const FAILURE_LIFE_MS = 30_000;

export type KeySource = 'session' | 'console';

/** What is known of an instance. */
export type KeyEntry =
  | { readonly kind: 'keys'; readonly keys: readonly HostKey[]; readonly source: KeySource }
  | { readonly kind: 'failure'; readonly code: ErrorCode; readonly message: string };

export interface DatedEntry {
  readonly entry: KeyEntry;
  /** When it was read, since the epoch. */
  readonly atMs: number;
}

export class KeyFiles {
  readonly #files: LookupFiles;

  /** `runtimeDirectory` has been checked (gate/runtime-directory.ts). */
  constructor(runtimeDirectory: string) {
    this.#files = new LookupFiles(runtimeDirectory, { folder: 'host-keys', keepMs: KEY_LIFE_MS });
  }

  find(key: string, nowMs: number): DatedEntry | undefined {
    const stored = this.#files.find(key, KEY_LIFE_MS, nowMs);
    if (typeof stored !== 'object' || stored === null) return undefined;
    const { atMs, keys, source, code, message } = stored as Partial<Record<string, unknown>>;
    if (typeof atMs !== 'number') return undefined;
    if (typeof keys === 'string' && (source === 'session' || source === 'console')) {
      return { atMs, entry: { kind: 'keys', keys: parseHostKeys(keys), source } };
    }
    if (typeof code !== 'string' || !isCode(code) || typeof message !== 'string') return undefined;
    const lifeMs = code === 'ACCESS_DENIED' ? DENIAL_LIFE_MS : FAILURE_LIFE_MS;
    return nowMs - atMs > lifeMs ? undefined : { atMs, entry: { kind: 'failure', code, message } };
  }

  store(key: string, entry: KeyEntry, nowMs: number): void {
    const stored =
      entry.kind === 'keys'
        ? { keys: entry.keys.map(({ type, base64 }) => `${type} ${base64}\n`).join(''), source: entry.source }
        : { code: entry.code, message: entry.message };
    this.#files.store(key, { atMs: nowMs, ...stored }, nowMs);
  }
}

/** The same for the same instance, asked for by the same identity in the same place. */
export async function keyOfInstance(context: AwsContext, instanceId: string): Promise<string> {
  return fingerprint('host-keys', await lookupGroup(context, 'host-keys', []), instanceId);
}

function isCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_TABLE, text);
}
