/**
 * Changes a file of the user's that other programs and people edit too: one of us at a time, whole or not at all, and
 * with a copy of what was there before.
 *
 * A file that is a symbolic link (kept in a folder of dotfiles) stays one: what it leads to is changed. Files of other
 * users are left alone. The lock is a folder beside the file: making one is atomic everywhere, also over NFS. Programs that
 * do not know the lock (the AWS CLI, an editor) are noticed: what they have just written is read and edited again.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, readFile, realpath, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ProxyError } from '../errors.ts';

export interface EditOptions {
  /** New text, or the same one for no change; undefined removes the file. Undefined text: there is no file. */
  readonly edit: (text: string | undefined) => string | undefined;
  /** Added to the name of the copy of the old file; undefined: no copy. */
  readonly backupSuffix?: string;
}

export interface EditResult {
  readonly hasChanged: boolean;
  /** Path of the copy of what was there. */
  readonly backup: string | undefined;
}

/** Of copies: the same for every file, so that people know it again. */
export const BACKUP_SUFFIX = '.before-ssm-proxy';

const PRIVATE_FILE = 0o600;
const PRIVATE_DIRECTORY = 0o700;
const PERMISSIONS = 0o777;
/** A file that another program writes meanwhile is read again; more often than this is no accident. */
const MAX_TRIES = 3;
/** Larger files are not written by hand. */
const MAX_BYTES = 4 * 1024 * 1024;
/** An edit takes milliseconds; a lock that is older was left by a process that was killed. */
const LOCK_LIFE_MS = 10_000;
const LOCK_POLL_MS = 50;
/** Longer than the life of a lock that nobody removes. */
const LOCK_WAIT_MS = 15_000;

/** New files are of mode 0600, and their folder of 0700; those that are there keep theirs. CONFIG_INVALID. */
export async function editFile(path: string, options: EditOptions): Promise<EditResult> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: PRIVATE_DIRECTORY });
    const target = await follow(path);
    return await whileLocked(target, async () => {
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const result = await change(target, options);
        if (result !== undefined) return result;
      }
      throw unusable(path, 'another program keeps changing it');
    });
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    throw unusable(path, codeOf(error) ?? String(error), error);
  }
}

/** Undefined when the file changed under our hands. */
async function change(path: string, { edit, backupSuffix }: EditOptions): Promise<EditResult | undefined> {
  const info = await stat(path).catch(noFile);
  if (info !== undefined) {
    if (!info.isFile()) throw unusable(path, 'it is not a file');
    const own = process.geteuid?.();
    if (own !== undefined && info.uid !== own) throw unusable(path, `it belongs to user ${info.uid}`);
    if (info.size > MAX_BYTES) throw unusable(path, 'it is too large');
  }
  const old = info === undefined ? undefined : await readFile(path, 'utf8').catch(noFile);
  const text = edit(old);
  if (text === old) return { hasChanged: false, backup: undefined };
  const mode = info === undefined ? PRIVATE_FILE : info.mode & PERMISSIONS;
  if ((await readFile(path, 'utf8').catch(noFile)) !== old) return undefined;
  const backup = old === undefined || backupSuffix === undefined ? undefined : `${path}${backupSuffix}`;
  if (backup !== undefined) await putFile(backup, old ?? '', mode);
  if (text === undefined) await unlink(path);
  else await putFile(path, text, mode);
  return { hasChanged: true, backup };
}

/** The file itself, where `path` is a link to it. A link to nothing is followed to where the file would be. */
async function follow(path: string): Promise<string> {
  const info = await lstat(path).catch(noFile);
  if (info?.isSymbolicLink() !== true) return path;
  return realpath(path).catch(() => {
    throw unusable(path, 'it is a symbolic link that leads nowhere');
  });
}

/** Under another name first, so that nobody ever reads half a file. */
async function putFile(path: string, text: string, mode: number): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, PRIVATE_FILE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await chmod(temporary, mode);
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
}

async function whileLocked<T>(path: string, act: () => Promise<T>): Promise<T> {
  const lock = join(dirname(path), `.${basename(path)}.ssm-proxy-lock`);
  const end = performance.now() + LOCK_WAIT_MS;
  while (!(await takeLock(lock))) {
    if (performance.now() > end) throw unusable(path, `another program has locked it (${lock})`);
    await delay(LOCK_POLL_MS);
  }
  try {
    return await act();
  } finally {
    await rmdir(lock).catch(() => {});
  }
}

async function takeLock(lock: string): Promise<boolean> {
  try {
    await mkdir(lock, { mode: PRIVATE_DIRECTORY });
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  const info = await lstat(lock).catch(noFile);
  if (info !== undefined && Date.now() - info.mtimeMs > LOCK_LIFE_MS) await rmdir(lock).catch(() => {});
  return false;
}

function noFile(error: unknown): undefined {
  if (codeOf(error) === 'ENOENT') return undefined;
  throw error;
}

function unusable(path: string, why: string, cause?: unknown): ProxyError {
  return new ProxyError('CONFIG_INVALID', `${path} cannot be changed: ${why}`, {
    hint: 'nothing was written; mend that and run the command again, or change the file by hand',
    cause,
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
