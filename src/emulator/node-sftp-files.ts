/**
 * File operations of the sftp subsystem: what one request does to one file, in terms of node-sftp-wire.ts. Throws
 * StatusError or what the system call threw.
 */
import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import * as fs from 'node:fs/promises';
import type { NameEntry, SftpAttributes } from './node-sftp-wire.ts';
import { DATA_HEADER_BYTES, finishData, MAX_PACKET_BYTES, OPEN_FLAG, STATUS } from './node-sftp-wire.ts';

/** Longest data of one read or write. */
export const MAX_DATA_BYTES = MAX_PACKET_BYTES - 1024;

/** A status other than a failed system call's. */
export class StatusError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export async function readFile(
  file: FileHandle,
  id: number,
  offset: number,
  length: number,
): Promise<Buffer> {
  const wanted = Math.min(length, MAX_DATA_BYTES);
  const answer = Buffer.allocUnsafe(DATA_HEADER_BYTES + wanted);
  const { bytesRead } = await file.read(answer, DATA_HEADER_BYTES, wanted, offset);
  if (bytesRead === 0) throw new StatusError(STATUS.EOF, 'end of file');
  return finishData(answer, id, bytesRead);
}

/** `offset` null: at the end of the file. */
export async function writeFully(file: FileHandle, data: Buffer, offset: number | null): Promise<void> {
  for (let written = 0; written < data.length;) {
    const at = offset === null ? null : offset + written;
    const { bytesWritten } = await file.write(data, written, data.length - written, at);
    written += bytesWritten;
  }
}

export async function setPathAttributes(path: Buffer, attributes: SftpAttributes): Promise<undefined> {
  if (attributes.size !== undefined) await fs.truncate(path, attributes.size);
  if (attributes.mode !== undefined) await fs.chmod(path, attributes.mode & 0o7777);
  if (attributes.owner !== undefined) await fs.chown(path, attributes.owner.uid, attributes.owner.gid);
  if (attributes.times !== undefined) {
    await fs.utimes(path, attributes.times.access, attributes.times.modification);
  }
}

export async function setAttributes(file: FileHandle, attributes: SftpAttributes): Promise<undefined> {
  if (attributes.size !== undefined) await file.truncate(attributes.size);
  if (attributes.mode !== undefined) await file.chmod(attributes.mode & 0o7777);
  if (attributes.owner !== undefined) await file.chown(attributes.owner.uid, attributes.owner.gid);
  if (attributes.times !== undefined) {
    await file.utimes(attributes.times.access, attributes.times.modification);
  }
}

/** RENAME of version 3 does not overwrite; posix-rename does. */
export async function renameToNew(from: Buffer, to: Buffer): Promise<void> {
  const isTaken = await fs.lstat(to).then(
    () => true,
    () => false,
  );
  if (isTaken) throw new StatusError(STATUS.FAILURE, 'the new name exists');
  await fs.rename(from, to);
}

export async function* listEntries(path: Buffer, names: readonly Buffer[]): AsyncGenerator<NameEntry> {
  for (const name of [Buffer.from('.'), Buffer.from('..'), ...names]) {
    try {
      const stats = await fs.lstat(Buffer.concat([path, Buffer.from('/'), name]));
      yield { name, longName: longName(name, stats), attributes: attributesOf(stats) };
    } catch {
      // Removed meanwhile.
    }
  }
}

export function attributesOf(stats: Stats): SftpAttributes {
  return {
    size: stats.size,
    owner: { uid: stats.uid, gid: stats.gid },
    mode: stats.mode,
    times: {
      access: Math.floor(stats.atimeMs / 1000),
      modification: Math.floor(stats.mtimeMs / 1000),
    },
  };
}

/** A line as `ls -l` shows it; clients print it and never parse it. */
function longName(name: Buffer, stats: Stats): string {
  const type = stats.isDirectory() ? 'd' : stats.isSymbolicLink() ? 'l' : '-';
  let rights = '';
  for (let bit = 8; bit >= 0; bit -= 1) {
    rights += (stats.mode >> bit) & 1 ? ('xwr'[bit % 3] ?? '') : '-';
  }
  const fields = [
    String(stats.nlink).padStart(4),
    String(stats.uid).padEnd(8),
    String(stats.gid).padEnd(8),
    String(stats.size).padStart(10),
    stats.mtime.toISOString().slice(0, 16).replace('T', ' '),
  ];
  return `${type}${rights} ${fields.join(' ')} ${name.toString('utf8')}`;
}

export function nameOnly(name: Buffer): NameEntry {
  return { name, longName: name.toString('utf8'), attributes: {} };
}

export function openFlags(flags: number): number {
  const isReading = (flags & OPEN_FLAG.READ) !== 0;
  const isWriting = (flags & OPEN_FLAG.WRITE) !== 0;
  let result = isWriting ? (isReading ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY;
  if (flags & OPEN_FLAG.APPEND) result |= constants.O_APPEND;
  if (flags & OPEN_FLAG.CREATE) result |= constants.O_CREAT;
  if (flags & OPEN_FLAG.TRUNCATE) result |= constants.O_TRUNC;
  if (flags & OPEN_FLAG.EXCLUSIVE) result |= constants.O_EXCL;
  return result;
}
