/**
 * A small file for every running session, so that one whose process was killed (SIGKILL, power) can be found and
 * ended later by `ssm-proxy sessions`. session-trace.ts says when it comes and goes.
 */
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { StartedSession } from '../open-session.ts';
import type { Environment } from './option-values.ts';
import { processIdentity, processName } from './process-identity.ts';
import {
  listStateFiles,
  openStateFolder,
  readStateFile,
  stateFolderPath,
  writeStateFile,
} from './state-directory.ts';

/** The file's form; goes up when a field changes its meaning. */
const SCHEMA = 1;
const FOLDER = 'sessions';

/** What a file holds. Nothing of it is secret. */
export interface SessionRecord extends StartedSession {
  /** As typed, with the port. */
  readonly destination: string;
  readonly pid: number;
  /** Tells the process from a later one with its ID; undefined where the system does not say. */
  readonly processStart: string | undefined;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly parentPid: number;
  /** Name of the parent's program, where it is known. */
  readonly parentName: string | undefined;
  /** The keeper's, for many connections. */
  readonly isShared: boolean;
}

export interface FoundRecord extends SessionRecord {
  /** Of its file. */
  readonly path: string;
  /** The process that runs the session is there. */
  readonly isProcessAlive: boolean;
}

export interface RecordFacts {
  readonly started: StartedSession;
  /** As typed, with the port. */
  readonly destination: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** The keeper's, for many connections. */
  readonly isShared?: boolean;
}

/** Writes the record of a session of this process. Its path. Throws CONFIG_INVALID. */
export async function writeSessionRecord(env: Environment, facts: RecordFacts): Promise<string> {
  const { started, destination, startedAt, isShared = false } = facts;
  const [directory, processStart, parentName] = await Promise.all([
    openStateFolder(env, FOLDER),
    processIdentity(process.pid),
    processName(process.ppid),
  ]);
  const record: SessionRecord & { readonly schema: number } = {
    schema: SCHEMA,
    ...started,
    ssmEndpoint: started.ssmEndpoint === undefined ? undefined : originOf(started.ssmEndpoint),
    destination,
    pid: process.pid,
    processStart,
    startedAt,
    parentPid: process.ppid,
    parentName,
    isShared,
  };
  return writeStateFile(directory, fileName(started.sessionId), `${JSON.stringify(record)}\n`);
}

/** The records of all sessions that were started on this machine and are not known to be over. CONFIG_INVALID. */
export async function readSessionRecords(env: Environment): Promise<readonly FoundRecord[]> {
  const directory = stateFolderPath(env, FOLDER);
  const names = await listStateFiles(env, FOLDER);
  const records: FoundRecord[] = [];
  // One after another: there are few, and thousands left behind must not open thousands of files.
  for (const name of names) {
    const path = join(directory, name);
    const record = parseRecord(await readStateFile(path));
    if (record === undefined) continue;
    const identity = await processIdentity(record.pid);
    const isProcessAlive = identity !== undefined && identity === (record.processStart ?? identity);
    records.push({ ...record, path, isProcessAlive });
  }
  return records;
}

/** Harmless when it is gone already. */
export async function removeRecord(path: string): Promise<void> {
  await unlink(path).catch(() => {});
}

function parseRecord(text: string | undefined): SessionRecord | undefined {
  let content: unknown;
  try {
    content = JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
  if (typeof content !== 'object' || content === null) return undefined;
  const fields = content as Readonly<Record<string, unknown>>;
  const { sessionId, destination, instanceId, region, pid, startedAt, parentPid } = fields;
  if (fields['schema'] !== SCHEMA) return undefined;
  if (typeof sessionId !== 'string' || typeof destination !== 'string') return undefined;
  if (typeof instanceId !== 'string' || typeof region !== 'string') return undefined;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid < 1) return undefined;
  if (typeof startedAt !== 'number' || typeof parentPid !== 'number') return undefined;
  return {
    ...{ sessionId, destination, instanceId, region, pid, startedAt, parentPid },
    profile: textOf(fields['profile']),
    role: textOf(fields['role']),
    ssmEndpoint: textOf(fields['ssmEndpoint']),
    processStart: textOf(fields['processStart']),
    parentName: textOf(fields['parentName']),
    isShared: fields['isShared'] === true,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Session IDs start with a name that somebody chose. */
function fileName(sessionId: string): string {
  return `session-${sessionId.replace(/[^\w.@+=,-]/g, '_').slice(0, 120)}.json`;
}

/** Scheme, host and port: nothing that a URL could hide. */
function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}
