/**
 * Host keys of a target from what is kept on this machine, without asking anybody, and without loading what asks: ssh
 * wants them twice for each connection. Everything that is in doubt is left to find-keys.ts.
 */
import { needsEc2, parseTarget } from '../aws/target.ts';
import type { AwsContext } from '../aws/context.ts';
import type { Clock } from '../clock.ts';
import { hasManyPlaces, targetContexts } from '../contexts.ts';
import type { TargetRequest } from '../find-target.ts';
import { LookupFiles } from '../gate/lookup-files.ts';
import { openRuntimeDirectory } from '../gate/runtime-directory.ts';
import type { Log } from '../log.ts';
import { knownInstance } from '../opening/known-instance.ts';
import type { DatedEntry } from './key-files.ts';
import { KeyFiles, keyOfInstance } from './key-files.ts';

export interface HostKeysRequest extends TargetRequest {
  readonly port: number;
  /** The key that the server shows, in base64; undefined: it is not known. */
  readonly offered: string | undefined;
  /** Kept keys do not count. */
  readonly isRefreshing: boolean;
  readonly startsPerSecond: number;
  /** Of the session, in CloudTrail. */
  readonly reason: string;
  /** For everything. */
  readonly timeLimitMs: number;
}

export interface HostKeysAnswer extends DatedEntry {
  /** Undefined when no instance was found. */
  readonly instanceId: string | undefined;
  readonly region: string | undefined;
  /** It was found out now, and not kept from before. */
  readonly isNew: boolean;
}

export interface KeptKeysParts {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly log: Log;
}

/** Undefined when they are not kept, or are not enough. The errors of the AWS configuration and of credentials. */
export async function keptKeys(
  request: HostKeysRequest,
  { env, clock, log }: KeptKeysParts,
): Promise<HostKeysAnswer | undefined> {
  if (request.isRefreshing || request.account !== undefined || hasManyPlaces(request)) return undefined;
  const directory = openRuntimeDirectory(env);
  if (directory === undefined) return undefined;
  const [context] = await targetContexts(request, { env, log });
  if (context === undefined) return undefined;
  try {
    const instanceId = await instanceOf(request, context, directory, clock);
    if (instanceId === undefined) return undefined;
    const key = await keyOfInstance(context, instanceId);
    const kept = new KeyFiles(directory).find(key, clock.wallNow());
    if (kept === undefined || !covers(kept, request.offered)) return undefined;
    return { ...kept, instanceId, region: context.region, isNew: false };
  } finally {
    context.close();
  }
}

/** The key that the server shows is among them, as far as it is known. Why there are none is an answer for any key. */
export function covers({ entry }: DatedEntry, offered: string | undefined): boolean {
  return (
    entry.kind === 'failure' || offered === undefined || entry.keys.some(({ base64 }) => base64 === offered)
  );
}

async function instanceOf(
  request: HostKeysRequest,
  context: AwsContext,
  directory: string,
  clock: Clock,
): Promise<string | undefined> {
  const target = parseTarget(request.target);
  if (!needsEc2(target) && 'id' in target) return target.id;
  await context.credentials();
  const files = new LookupFiles(directory);
  return knownInstance({ context, target: target.text, scope: request, files, wallNowMs: clock.wallNow() });
}
