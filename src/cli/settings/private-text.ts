/**
 * Reads a file that decides where connections go: one that others may write, or that belongs to somebody else, is
 * refused. What is opened is what is checked, so a file that is replaced meanwhile makes no difference.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname } from 'node:path';
import { ProxyError } from '../../errors.ts';

/** Longer files are not written by hand. */
const MAX_BYTES = 256 * 1024;
const WRITABLE_BY_OTHERS = 0o002;
const STICKY = 0o1000;
const ROOT = 0;

/** CONFIG_INVALID: refused, or not readable. A symbolic link is followed, and the file that it leads to is checked. */
export function readPrivateText(path: string): string {
  try {
    checkFolder(dirname(path));
    // Without O_NONBLOCK a FIFO by that name would never open.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const info = fstatSync(file);
      if (!info.isFile()) throw refused(path, 'it is not a file');
      if (info.size > MAX_BYTES) throw refused(path, `it is larger than ${String(MAX_BYTES / 1024)} KiB`);
      checkOwner(path, info);
      if ((info.mode & WRITABLE_BY_OTHERS) !== 0) {
        throw refused(path, 'every user may write it', `chmod o-w ${path}`);
      }
      return readFileSync(file, 'utf8');
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new ProxyError('CONFIG_INVALID', `${path} cannot be read: ${reason}`, { cause: error });
  }
}

/** Who may write the folder may put another file in its place. */
function checkFolder(folder: string): void {
  const info = statSync(folder);
  checkOwner(folder, info);
  const isOpen = (info.mode & WRITABLE_BY_OTHERS) !== 0 && (info.mode & STICKY) === 0;
  if (isOpen) throw refused(folder, 'every user may write it', `chmod o-w ${folder}`);
}

function checkOwner(path: string, { uid }: Stats): void {
  const own = process.geteuid?.();
  // The administrator could do anything anyway.
  if (own === undefined || uid === own || uid === ROOT) return;
  throw refused(path, `it belongs to user ${String(uid)}`, 'make it your own, or take it away');
}

function refused(path: string, why: string, hint?: string): ProxyError {
  return new ProxyError('CONFIG_INVALID', `${path} is not used: ${why}`, hint === undefined ? {} : { hint });
}
