/**
 * The host keys of a target: those that are kept, or, when there are none or the server shows another one, read anew.
 *
 * A key that the server shows and that is not among the kept ones may be a man in the middle, a node whose keys were
 * made anew, or another machine with the same address. All three are settled the same way: EC2 is asked whose the
 * address is, and that instance for its keys. ssh then compares.
 */
import type { AwsContext } from '../aws/context.ts';
import { targetContexts } from '../contexts.ts';
import { asProxyError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { claim } from '../gate/claim.ts';
import { fingerprint } from '../gate/identity.ts';
import { openRuntimeDirectory } from '../gate/runtime-directory.ts';
import type { StartedSession } from '../open-session.ts';
import { lookupGroup } from '../opening/known-instance.ts';
import { sleep } from '../opening/sleep.ts';
import { TimeBudget } from '../opening/time-budget.ts';
import type { DatedEntry, KeyEntry } from './key-files.ts';
import { KeyFiles, keyOfInstance } from './key-files.ts';
import type { HostKeysAnswer, HostKeysRequest, KeptKeysParts } from './kept-keys.ts';
import { covers } from './kept-keys.ts';
import type { NodePlace, PlaceParts } from './node-place.ts';
import { placeOf } from './node-place.ts';

export interface HostKeysParts extends KeptKeysParts {
  /** Code of EC2, or of a session, is going to be needed. */
  readonly onAsking?: (() => void) | undefined;
  readonly onStarted?: ((started: StartedSession) => void) | undefined;
  readonly onTerminated?: (() => void) | undefined;
}

const SSH_PORT = 22;
/** Keys that were read so shortly before are believed, whatever the server shows. Milliseconds. */
const JUST_READ_MS = 5_000;
/** On another port than sshd's own there may be another server with other keys, such as that of a container. Milliseconds. */
const OTHER_PORT_MS = 3_600_000;
/** Between two looks for what another process reads. Milliseconds. */
const LOOK_MS = 50;
/** With these an address that was found minutes ago may be another machine's by now. */
const GONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'TARGET_NOT_CONNECTED',
  'TARGET_NOT_FOUND',
  'TARGET_STOPPED',
  'TARGET_TERMINATED',
]);

/** A failure to find or read is an answer, too. Rejects with CANCELLED, and the errors of the AWS configuration. */
export async function findHostKeys(
  request: HostKeysRequest,
  parts: HostKeysParts,
  signal: AbortSignal,
): Promise<HostKeysAnswer> {
  const { env, clock, log } = parts;
  const budget = new TimeBudget(
    clock,
    { limitMs: request.timeLimitMs, name: undefined, elasticMs: 0 },
    signal,
  );
  let contexts: readonly AwsContext[] = [];
  try {
    contexts = await targetContexts(request, { env, log, signal: budget.signal });
    const directory = openRuntimeDirectory(env);
    const files = directory === undefined ? undefined : new KeyFiles(directory);
    const place = { ...parts, contexts, directory, budget };
    return await new KeySearch(request, parts, place, files, signal).run();
  } finally {
    budget.close();
    for (const context of contexts) context.close();
  }
}

class KeySearch {
  readonly #request: HostKeysRequest;
  readonly #parts: HostKeysParts;
  readonly #place: PlaceParts;
  readonly #files: KeyFiles | undefined;
  readonly #caller: AbortSignal;
  readonly #startedAtMs: number;

  constructor(
    request: HostKeysRequest,
    parts: HostKeysParts,
    place: PlaceParts,
    files: KeyFiles | undefined,
    caller: AbortSignal,
  ) {
    this.#request = request;
    this.#parts = parts;
    this.#place = place;
    this.#files = files;
    this.#caller = caller;
    this.#startedAtMs = parts.clock.wallNow();
  }

  async run(): Promise<HostKeysAnswer> {
    const { isRefreshing } = this.#request;
    // What was found not to be there a moment ago.
    const missing = await this.#targetKey();
    const known = isRefreshing ? undefined : this.#files?.find(missing, this.#startedAtMs);
    if (known !== undefined) return { ...known, instanceId: undefined, region: undefined, isNew: false };
    try {
      return await this.#answer(!isRefreshing);
    } catch (thrown) {
      const entry = this.#failure(thrown);
      const atMs = this.#parts.clock.wallNow();
      this.#files?.store(missing, entry, atMs);
      return { entry, atMs, instanceId: undefined, region: undefined, isNew: true };
    }
  }

  async #answer(isTrusting: boolean): Promise<HostKeysAnswer> {
    const node = await placeOf(this.#request, isTrusting, this.#place);
    const { instanceId, context } = node;
    const key = await keyOfInstance(context, instanceId);
    const where = { instanceId, region: context.region };
    const kept = this.#request.isRefreshing ? undefined : this.#files?.find(key, this.#startedAtMs);
    if (kept !== undefined) {
      if (this.#isEnough(kept, node)) return { ...kept, ...where, isNew: false };
      if (node.isDoubtful) return this.#answer(false);
    }
    const read = await this.#read(key, node);
    const { entry } = read;
    if (entry.kind === 'failure' && GONE.has(entry.code) && node.isDoubtful) return this.#answer(false);
    // Whoever can keep us from reading must not turn a wrong key into an unknown one.
    if (entry.kind === 'failure' && kept !== undefined) return { ...kept, ...where, isNew: false };
    return { ...read, ...where };
  }

  #isEnough(kept: DatedEntry, { isDoubtful }: NodePlace): boolean {
    const { offered, port } = this.#request;
    if (covers(kept, offered)) return true;
    const ageMs = this.#parts.clock.wallNow() - kept.atMs;
    return !isDoubtful && ageMs < (port === SSH_PORT ? JUST_READ_MS : OTHER_PORT_MS);
  }

  /** Of several processes that want the same, one reads, and the others take what it leaves. */
  async #read(key: string, node: NodePlace): Promise<DatedEntry & { readonly isNew: boolean }> {
    const { clock } = this.#parts;
    const { directory, budget } = this.#place;
    const lifeMs = this.#request.timeLimitMs;
    for (;;) {
      const own =
        directory === undefined ? undefined : claim(directory, `host-keys-${key}`, lifeMs, clock.wallNow());
      const left = this.#files?.find(key, clock.wallNow());
      if (left !== undefined && left.atMs >= this.#startedAtMs) {
        own?.release();
        return { ...left, isNew: false };
      }
      if (directory === undefined || own !== undefined) {
        try {
          const entry = await this.#readNow(node);
          const atMs = clock.wallNow();
          const hasKeys = this.#files?.find(key, atMs)?.entry.kind === 'keys';
          if (entry.kind === 'keys' || !hasKeys) this.#files?.store(key, entry, atMs);
          return { entry, atMs, isNew: true };
        } finally {
          own?.release();
        }
      }
      await sleep(clock, LOOK_MS, budget.signal);
    }
  }

  async #readNow({ context, instanceId }: NodePlace): Promise<KeyEntry> {
    const { endpointUrl, ssmmessagesEndpoint, reason, startsPerSecond } = this.#request;
    const { env, clock, log, onAsking, onStarted, onTerminated } = this.#parts;
    const { budget } = this.#place;
    onAsking?.();
    try {
      const { readHostKeys } = await import('./read-keys.ts');
      const { keys, source } = await readHostKeys(
        {
          ...{ context, instanceId, endpointUrl, ssmmessagesEndpoint, reason },
          timeLimitMs: Math.max(1, budget.remainingMs),
          sharing: { startsPerSecond, queueTimeoutMs: undefined, sharesLookups: false },
        },
        { env, clock, log, onStarted, onTerminated },
        budget.signal,
      );
      return { kind: 'keys', keys, source };
    } catch (thrown) {
      return this.#failure(thrown);
    }
  }

  /** Throws when the caller has given up. */
  #failure(thrown: unknown): KeyEntry {
    const error = asProxyError(thrown);
    if (this.#caller.aborted) throw error;
    const { budget } = this.#place;
    if (!budget.isSpent || error.code !== 'CANCELLED') {
      return { kind: 'failure', code: error.code, message: error.message };
    }
    const seconds = String(this.#request.timeLimitMs / 1000);
    return { kind: 'failure', code: 'CONNECT_TIMEOUT', message: `no answer within ${seconds} s` };
  }

  /** The same for the same target in the same places. */
  async #targetKey(): Promise<string> {
    const { target, vpc, tags } = this.#request;
    const places = await Promise.all(
      this.#place.contexts.map((context) => lookupGroup(context, 'no-host-keys', [])),
    );
    return fingerprint('target', ...places, target, JSON.stringify([vpc, tags]));
  }
}
