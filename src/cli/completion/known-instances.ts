/**
 * The instances that completion knows of: an answer of EC2 in a private file (mode 0600), young enough. A key press waits
 * for nothing that is known, and at most a second for what is not; whatever takes longer is left to a process
 * that stays behind and writes the file for the next key press.
 */
import { spawn } from 'node:child_process';
import type { AwsContext } from '../../aws/context.ts';
import { systemClock } from '../../clock.ts';
import type { ContextRequest } from '../../contexts.ts';
import { ProxyError } from '../../errors.ts';
import { fingerprint } from '../../gate/identity.ts';
import { LookupFiles } from '../../gate/lookup-files.ts';
import { openRuntimeDirectory } from '../../gate/runtime-directory.ts';
import { silentLog } from '../../log.ts';
import type { Environment } from '../option-values.ts';
import { selfCommand } from '../self-command.ts';
import type { KnownInstance } from './target-words.ts';

export interface InstanceQuery {
  readonly where: ContextRequest;
  readonly env: Environment;
}

/** A younger answer is as good as a new one. Milliseconds. */
const FRESH_MS = 60_000;
/** An older answer is none. Milliseconds. */
const USABLE_MS = 600_000;
/** Longest wait of a key press. Milliseconds. */
const KEY_PRESS_LIMIT_MS = 1_000;
/** For a process that stays behind: SSO and a large account take their time. Milliseconds. */
const REFRESH_LIMIT_MS = 15_000;
/** Room for some 7,000 instances. */
const MAX_FILE_BYTES = 1024 * 1024;
const LIVE_STATES = ['pending', 'running', 'stopping', 'stopped'] as const;

/** Within about a second. Empty when nothing can be known by then. Throws what AWS calls throw. */
export async function knownInstances(
  query: InstanceQuery,
  refreshArgs: readonly string[],
): Promise<readonly KnownInstance[]> {
  const files = openFiles(query.env);
  const key = keyOf(query);
  const now = systemClock.wallNow();
  const known = parseInstances(files?.find(key, USABLE_MS, now));
  if (known !== undefined) {
    if (files?.find(key, FRESH_MS, now) === undefined) startRefresh(files, key, refreshArgs);
    return known;
  }
  const asked = await within(KEY_PRESS_LIMIT_MS, askAndStore(query));
  if (asked === undefined) startRefresh(files, key, refreshArgs);
  return asked ?? [];
}

/** Asks AWS, and stores the answer. What a process that stays behind does. */
export async function refreshInstances(query: InstanceQuery): Promise<void> {
  await within(REFRESH_LIMIT_MS, askAndStore(query));
}

async function askAndStore(query: InstanceQuery): Promise<readonly KnownInstance[]> {
  // Now: the SDK has a variable of its own in the environment later.
  const key = keyOf(query);
  const { where, env } = query;
  // Known instances need none of it.
  const { createContexts } = await import('../../contexts.ts');
  const contexts = await createContexts(where, { env, log: silentLog });
  try {
    const answers = await Promise.allSettled(contexts.map(instancesOf));
    // A region that an organization has closed is no reason to offer nothing.
    const given = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    if (given.length === 0) throw new ProxyError('SERVICE_ERROR', 'EC2 has not answered in any region');
    openFiles(env)?.store(key, given.flat(), systemClock.wallNow());
    return given.flat();
  } finally {
    for (const context of contexts) context.close();
  }
}

async function instancesOf(context: AwsContext): Promise<KnownInstance[]> {
  const { describeInstances } = await import('../../aws/ec2.ts');
  const signal = AbortSignal.timeout(REFRESH_LIMIT_MS);
  const records = await describeInstances(context, [['instance-state-name', ...LIVE_STATES]], { signal });
  const { membership, numberWorkers, typedClusterName } = await import('../../aws/cluster-tags.ts');
  const numbers = numberWorkers(records);
  return records.map(({ instance: { instanceId, name, privateIp, state }, tags }) => {
    const { cluster, role } = membership(tags) ?? {};
    const number = numbers.get(instanceId);
    const isNamed = cluster !== undefined && (role === 'head' || number !== undefined);
    const nodeName = isNamed
      ? `${typedClusterName(cluster)}${role === 'head' ? '' : `-worker${String(number)}`}`
      : undefined;
    return { instanceId, name, nodeName, privateIp, state };
  });
}

/** One at a time: another one may be at it. */
function startRefresh(files: LookupFiles | undefined, key: string, args: readonly string[]): void {
  const mark = fingerprint(key, 'refresh');
  const now = systemClock.wallNow();
  // Without files nobody would see the answer.
  if (files === undefined || files.find(mark, REFRESH_LIMIT_MS, now) !== undefined) return;
  files.store(mark, true, now);
  const [program, ...before] = selfCommand();
  const child = spawn(program, [...before, ...args], { detached: true, stdio: 'ignore' });
  child.on('error', () => {});
  child.unref();
}

function openFiles(env: Environment): LookupFiles | undefined {
  const directory = openRuntimeDirectory(env);
  return directory === undefined ? undefined : new LookupFiles(directory, { maxAnswerBytes: MAX_FILE_BYTES });
}

/** Same answer for everybody with the same key: all that can decide who asks whom. Secrets are not among it. */
function keyOf({ where, env }: InstanceQuery): string {
  const settings = Object.entries(env)
    .filter(([name]) => /^(AWS_|SSM_PROXY_|HOME$)/.test(name) && !/SECRET|TOKEN|PASSWORD/.test(name))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return fingerprint('instances', JSON.stringify([where, settings]));
}

function parseInstances(stored: unknown): readonly KnownInstance[] | undefined {
  if (!Array.isArray(stored)) return undefined;
  return stored.flatMap((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return [];
    const { instanceId, name, nodeName, privateIp, state } = entry as Readonly<Record<string, unknown>>;
    if (typeof instanceId !== 'string') return [];
    const texts = { name: textOr(name), nodeName: textOr(nodeName), privateIp: textOr(privateIp) };
    return [{ instanceId, ...texts, state: textOr(state) ?? '' }];
  });
}

function textOr(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The outcome, or undefined when it is not there in time; what comes later is dropped, also a failure. */
async function within<T>(limitMs: number, outcome: Promise<T>): Promise<T | undefined> {
  outcome.catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), limitMs);
  });
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}
