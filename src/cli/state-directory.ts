/**
 * The user's private directory for what outlives a process: session records and flight records. XDG_STATE_HOME, or
 * ~/.local/state, with `ssm-proxy` in it.
 *
 * Only a real directory of this user's own is used, and nobody else may look into it. Files appear whole: they are
 * written under another name and renamed. Nothing here is needed to carry a session, so callers on that way catch
 * everything; only commands that show these files pass the error on.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { ProxyError } from '../errors.ts';
import type { Environment } from './option-values.ts';

export type StateFolder = 'flight-records' | 'pace' | 'sessions';

const PRIVATE_DIRECTORY = 0o700;
const PRIVATE_FILE = 0o600;
const OTHERS = 0o077;
/** Larger files are not ours. */
const MAX_READ_BYTES = 64 * 1024;

/** Where the folder is, whether it exists or not. Relative XDG_STATE_HOME is ignored, as its specification says. */
export function stateFolderPath(env: Environment, folder: StateFolder): string {
  return join(stateBase(env), folder);
}

/** Makes the folder if it is not there. Its path. Throws CONFIG_INVALID. */
export async function openStateFolder(env: Environment, folder: StateFolder): Promise<string> {
  const base = stateBase(env);
  const path = join(base, folder);
  try {
    await mkdir(path, { recursive: true, mode: PRIVATE_DIRECTORY });
  } catch (error) {
    throw unusable(path, reasonOf(error), error);
  }
  await checkDirectory(base);
  await checkDirectory(path);
  return path;
}

/** Writes a file of mode 0600, whole or not at all. Its path. Throws CONFIG_INVALID. */
export async function writeStateFile(directory: string, name: string, text: string): Promise<string> {
  const path = join(directory, name);
  const temporary = join(directory, `.${name}.${randomBytes(6).toString('hex')}`);
  try {
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, PRIVATE_FILE);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    return path;
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw unusable(path, reasonOf(error), error);
  }
}

/** Names in the folder, without those of files being written; none when there is no folder. Throws CONFIG_INVALID. */
export async function listStateFiles(env: Environment, folder: StateFolder): Promise<readonly string[]> {
  const path = stateFolderPath(env, folder);
  try {
    const names = await readdir(path);
    await checkDirectory(stateBase(env));
    await checkDirectory(path);
    return names.filter((name) => !name.startsWith('.')).sort();
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    if (codeOf(error) === 'ENOENT') return [];
    throw unusable(path, reasonOf(error), error);
  }
}

/** Removes the first files by name until `kept` of those that match are left. `directory` from openStateFolder. */
export async function removeStateFiles(directory: string, pattern: RegExp, kept: number): Promise<void> {
  const names = (await readdir(directory)).filter((name) => pattern.test(name)).sort();
  const surplus = names.slice(0, Math.max(0, names.length - kept));
  // Another process may have removed the same ones.
  await Promise.all(surplus.map((name) => unlink(join(directory, name)).catch(() => {})));
}

/** The text of a file of this user's own; undefined when there is none, or something else by that name. */
export async function readStateFile(path: string): Promise<string | undefined> {
  try {
    // Without O_NONBLOCK a FIFO by that name would never open.
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const info = await file.stat();
      if (!info.isFile() || !isOwn(info.uid) || info.size > MAX_READ_BYTES) return undefined;
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

function stateBase(env: Environment): string {
  const given = env['XDG_STATE_HOME'];
  if (given !== undefined && isAbsolute(given)) return join(given, 'ssm-proxy');
  return join(env['HOME'] ?? homedir(), '.local', 'state', 'ssm-proxy');
}

async function checkDirectory(path: string): Promise<void> {
  const info = await lstat(path).catch((error: unknown) => {
    throw unusable(path, reasonOf(error), error);
  });
  if (info.isSymbolicLink()) throw unusable(path, 'it is a symbolic link');
  if (!info.isDirectory()) throw unusable(path, 'it is not a directory');
  if (!isOwn(info.uid)) throw unusable(path, `it belongs to user ${info.uid}`);
  if ((info.mode & OTHERS) === 0) return;
  await chmod(path, PRIVATE_DIRECTORY).catch((error: unknown) => {
    throw unusable(path, reasonOf(error), error);
  });
}

function isOwn(uid: number): boolean {
  return uid === (process.geteuid?.() ?? uid);
}

function unusable(path: string, reason: string, cause?: unknown): ProxyError {
  return new ProxyError('CONFIG_INVALID', `the state directory cannot be used: ${path}: ${reason}`, {
    hint: 'set XDG_STATE_HOME to a directory of your own, or make this one usable',
    cause,
  });
}

function reasonOf(error: unknown): string {
  return codeOf(error) ?? (error instanceof Error ? error.message : String(error));
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
