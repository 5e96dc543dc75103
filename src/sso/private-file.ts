/** A small secret file, written so that nobody ever reads half of it, and nobody else reads it at all. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ProxyError } from '../errors.ts';

/** Replaces the file in one step, mode 0600; makes its directory with 0700. CONFIG_INVALID names the path. */
export function writePrivateFile(path: string, text: string): void {
  const temporary = `${path}.${process.pid.toString(36)}${randomBytes(6).toString('hex')}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // `wx`: never through a link that somebody put there.
    writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    tryRemove(temporary);
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new ProxyError('CONFIG_INVALID', `${path} cannot be written (${code})`, { cause: error });
  }
}

function tryRemove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It was never made.
  }
}
