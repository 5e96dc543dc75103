/**
 * Replaces ~/.aws/config: in one step, with its mode, through a symbolic link to the file behind it, and with the text
 * before in a backup beside it.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { ProxyError } from '../errors.ts';

export interface ConfigWritten {
  readonly path: string;
  /** Where the text before is; undefined when there was no file. */
  readonly backup: string | undefined;
}

/** A file that another program writes meanwhile is read again; more often than this is no accident. */
const MAX_TRIES = 3;
const NEW_MODE = 0o600;

/** Undefined when `edit` changes nothing. CONFIG_INVALID names the file. */
export function rewriteConfig(path: string, edit: (text: string) => string): ConfigWritten | undefined {
  try {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const real = realPath(path);
      const before = readIfThere(real);
      const after = edit(before ?? '');
      if (after === (before ?? '')) return undefined;
      const written = replace(real, before, after);
      if (written !== undefined) return written;
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new ProxyError('CONFIG_INVALID', `${path} cannot be written (${code})`, { cause: error });
  }
  throw new ProxyError('CONFIG_INVALID', `${path} is being changed by another program`, {
    hint: 'try again',
  });
}

/** Undefined when the file changed under our hands. */
function replace(path: string, before: string | undefined, after: string): ConfigWritten | undefined {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const mode = before === undefined ? NEW_MODE : statSync(path).mode & 0o777;
  const temporary = `${path}.${process.pid.toString(36)}${randomBytes(6).toString('hex')}.tmp`;
  const backup = before === undefined ? undefined : `${path}.ssm-proxy.bak`;
  try {
    writeNew(temporary, after, mode);
    if (readIfThere(path) !== before) return undefined;
    if (backup !== undefined && before !== undefined) {
      rmSync(backup, { force: true });
      writeNew(backup, before, mode);
    }
    renameSync(temporary, path);
    return { path, backup };
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** The mode whatever the umask is. */
function writeNew(path: string, text: string, mode: number): void {
  writeFileSync(path, text, { mode: NEW_MODE, flag: 'wx' });
  chmodSync(path, mode);
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
