/**
 * The sftp subsystem of an emulated node, over the real file system. Clients send many requests ahead; they are
 * served one after the other, because OpenSSH's scp cuts a download where answers come out of order (seen with
 * 9.2). Relative names start at the node's home. Not a jail: the node's user is the user who runs the emulator.
 */
import type { FileHandle } from 'node:fs/promises';
import * as fs from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import type { Log } from '../log.ts';
import {
  attributesOf,
  listEntries,
  MAX_DATA_BYTES,
  nameOnly,
  openFlags,
  readFile,
  renameToNew,
  setAttributes,
  setPathAttributes,
  StatusError,
  writeFully,
} from './node-sftp-files.ts';
import type { NameEntry, SftpAttributes } from './node-sftp-wire.ts';
import {
  FieldReader,
  formatAttributes,
  formatExtendedNumbers,
  formatHandle,
  formatNames,
  formatStatus,
  formatVersion,
  MAX_PACKET_BYTES,
  OPEN_FLAG,
  PacketSplitter,
  REQUEST,
  SftpWireError,
  STATUS,
} from './node-sftp-wire.ts';

/** Open files and directories of one client. */
const MAX_HANDLES = 1024;
/** Names in one answer to a directory request. */
const NAMES_PER_ANSWER = 100;

const EXTENSIONS = [
  ['posix-rename@openssh.com', '1'],
  ['hardlink@openssh.com', '1'],
  ['fsync@openssh.com', '1'],
  ['limits@openssh.com', '1'],
] as const;

/**
 * Serves one sftp channel until the client ends it. `onEnd` is called once, when the last answer is written: exit
 * status 0, or 1 after a packet that cannot be read.
 */
export function serveSftp(channel: Duplex, home: string, log: Log, onEnd: (status: number) => void): void {
  const files = new SftpFiles(home);
  const splitter = new PacketSplitter();
  let isServing = false;
  let endStatus: number | undefined;

  const finish = (status: number): void => {
    endStatus ??= status;
    if (isServing) return;
    isServing = true;
    files.closeAll();
    onEnd(endStatus);
  };
  const serve = async (): Promise<void> => {
    isServing = true;
    try {
      for (let packet = splitter.next(); packet !== undefined; packet = splitter.next()) {
        const answer = await serveRequest(packet, files, log);
        if (!channel.writable) break;
        if (!channel.write(answer)) await drained(channel);
      }
    } catch (error) {
      log.debug('sftp-broken', { reason: error instanceof Error ? error.message : String(error) });
      endStatus ??= 1;
    }
    isServing = false;
    if (endStatus === undefined) channel.resume();
    else finish(endStatus);
  };
  channel.on('data', (chunk: Buffer) => {
    splitter.push(chunk);
    channel.pause();
    if (!isServing) void serve();
  });
  channel.once('end', () => finish(0));
  channel.once('close', () => finish(1));
}

/** Until the channel takes more, or is gone. */
function drained(channel: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      channel.off('drain', settle);
      channel.off('close', settle);
      resolve();
    };
    channel.on('drain', settle);
    channel.on('close', settle);
  });
}

/** The answer to one packet. Rejects only when the packet is too short to have one. */
async function serveRequest(packet: Buffer, files: SftpFiles, log: Log): Promise<Buffer> {
  const fields = new FieldReader(packet);
  const type = fields.byte();
  if (type === REQUEST.INIT) return formatVersion(EXTENSIONS);
  const id = fields.uint32();
  try {
    const answer = await files.serve(type, id, fields);
    return answer ?? formatStatus(id, STATUS.OK, '');
  } catch (error) {
    const { status, message } = statusOf(error);
    if (status === STATUS.FAILURE) log.debug('sftp-failure', { reason: message });
    return formatStatus(id, status, message);
  }
}

interface OpenFile {
  readonly kind: 'file';
  readonly file: FileHandle;
  readonly isAppending: boolean;
}
interface OpenDirectory {
  readonly kind: 'directory';
  readonly entries: AsyncGenerator<NameEntry>;
}
type Handle = OpenFile | OpenDirectory;

/** Open handles, and what each request does. An answer of undefined means status OK. */
class SftpFiles {
  readonly #home: Buffer;
  readonly #handles = new Map<number, Handle>();
  #nextHandle = 0;

  constructor(home: string) {
    this.#home = Buffer.from(`${home}/`, 'utf8');
  }

  async serve(type: number, id: number, fields: FieldReader): Promise<Buffer | undefined> {
    switch (type) {
      case REQUEST.OPEN:
        return formatHandle(id, await this.#open(this.#path(fields), fields.uint32(), fields.attributes()));
      case REQUEST.CLOSE:
        await this.#close(fields.string());
        return undefined;
      case REQUEST.READ:
        return readFile(this.#file(fields).file, id, fields.uint64(), fields.uint32());
      case REQUEST.WRITE: {
        const { file, isAppending } = this.#file(fields);
        const offset = fields.uint64();
        return nothing(writeFully(file, fields.string(), isAppending ? null : offset));
      }
      case REQUEST.STAT:
        return formatAttributes(id, attributesOf(await fs.stat(this.#path(fields))));
      case REQUEST.LSTAT:
        return formatAttributes(id, attributesOf(await fs.lstat(this.#path(fields))));
      case REQUEST.FSTAT:
        return formatAttributes(id, attributesOf(await this.#file(fields).file.stat()));
      case REQUEST.SETSTAT:
        return setPathAttributes(this.#path(fields), fields.attributes());
      case REQUEST.FSETSTAT:
        return setAttributes(this.#file(fields).file, fields.attributes());
      case REQUEST.OPENDIR:
        return formatHandle(id, await this.#openDirectory(this.#path(fields)));
      case REQUEST.READDIR:
        return formatNames(id, await this.#readDirectory(fields.string()));
      case REQUEST.REMOVE:
        return nothing(fs.unlink(this.#path(fields)));
      case REQUEST.MKDIR: {
        const path = this.#path(fields);
        return nothing(fs.mkdir(path, (fields.attributes().mode ?? 0o777) & 0o7777));
      }
      case REQUEST.RMDIR:
        return nothing(fs.rmdir(this.#path(fields)));
      case REQUEST.REALPATH: {
        const path = this.#path(fields);
        // A last component that does not exist yet is allowed, as in OpenSSH's server.
        return formatNames(id, [nameOnly(await fs.realpath(path, 'buffer').catch(() => path))]);
      }
      case REQUEST.RENAME:
        return nothing(renameToNew(this.#path(fields), this.#path(fields)));
      case REQUEST.READLINK:
        return formatNames(id, [nameOnly(await fs.readlink(this.#path(fields), 'buffer'))]);
      case REQUEST.SYMLINK: {
        // OpenSSH's order, which everybody follows: the target first.
        const target = fields.string();
        return nothing(fs.symlink(target, this.#path(fields)));
      }
      case REQUEST.EXTENDED:
        return this.#extended(id, fields);
      default:
        throw new StatusError(STATUS.OP_UNSUPPORTED, 'request not supported');
    }
  }

  closeAll(): void {
    const handles = [...this.#handles.values()];
    this.#handles.clear();
    for (const handle of handles) void closeHandle(handle).catch(() => {});
  }

  async #extended(id: number, fields: FieldReader): Promise<Buffer | undefined> {
    const name = fields.string().toString('latin1');
    switch (name) {
      case 'posix-rename@openssh.com':
        return nothing(fs.rename(this.#path(fields), this.#path(fields)));
      case 'hardlink@openssh.com':
        return nothing(fs.link(this.#path(fields), this.#path(fields)));
      case 'fsync@openssh.com':
        return nothing(this.#file(fields).file.sync());
      case 'limits@openssh.com':
        return formatExtendedNumbers(id, [MAX_PACKET_BYTES, MAX_DATA_BYTES, MAX_DATA_BYTES, MAX_HANDLES]);
      default:
        throw new StatusError(STATUS.OP_UNSUPPORTED, 'extension not supported');
    }
  }

  #path(fields: FieldReader): Buffer {
    const name = fields.string();
    if (name.includes(0)) throw new StatusError(STATUS.FAILURE, 'a name with NUL');
    return name[0] === 0x2f ? name : Buffer.concat([this.#home, name.length === 0 ? Buffer.from('.') : name]);
  }

  async #open(path: Buffer, flags: number, attributes: SftpAttributes): Promise<Buffer> {
    const file = await fs.open(path, openFlags(flags), (attributes.mode ?? 0o666) & 0o7777);
    return this.#register({ kind: 'file', file, isAppending: (flags & OPEN_FLAG.APPEND) !== 0 });
  }

  async #openDirectory(path: Buffer): Promise<Buffer> {
    const names = await fs.readdir(path, 'buffer');
    return this.#register({ kind: 'directory', entries: listEntries(path, names) });
  }

  async #register(opened: Handle): Promise<Buffer> {
    if (this.#handles.size >= MAX_HANDLES) {
      await closeHandle(opened);
      throw new StatusError(STATUS.FAILURE, 'too many open handles');
    }
    const number = this.#nextHandle;
    this.#nextHandle += 1;
    this.#handles.set(number, opened);
    const handle = Buffer.alloc(4);
    handle.writeUInt32BE(number);
    return handle;
  }

  #find(handle: Buffer): Handle {
    const found = handle.length === 4 ? this.#handles.get(handle.readUInt32BE()) : undefined;
    if (found === undefined) throw new StatusError(STATUS.FAILURE, 'unknown handle');
    return found;
  }

  /** The file a request's first field names. */
  #file(fields: FieldReader): OpenFile {
    const found = this.#find(fields.string());
    if (found.kind !== 'file') throw new StatusError(STATUS.FAILURE, 'not a file');
    return found;
  }

  async #close(handle: Buffer): Promise<void> {
    const found = this.#find(handle);
    this.#handles.delete(handle.readUInt32BE());
    await closeHandle(found);
  }

  async #readDirectory(handle: Buffer): Promise<readonly NameEntry[]> {
    const found = this.#find(handle);
    if (found.kind !== 'directory') throw new StatusError(STATUS.FAILURE, 'not a directory');
    const names: NameEntry[] = [];
    while (names.length < NAMES_PER_ANSWER) {
      const next = await found.entries.next();
      if (next.done === true) break;
      names.push(next.value);
    }
    if (names.length === 0) throw new StatusError(STATUS.EOF, 'end of directory');
    return names;
  }
}

async function nothing(work: Promise<unknown>): Promise<undefined> {
  await work;
  return undefined;
}

async function closeHandle(handle: Handle): Promise<void> {
  if (handle.kind === 'file') await handle.file.close();
  else await handle.entries.return(undefined);
}

function statusOf(error: unknown): { readonly status: number; readonly message: string } {
  if (error instanceof StatusError) return { status: error.status, message: error.message };
  if (error instanceof SftpWireError) return { status: STATUS.BAD_MESSAGE, message: error.message };
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return { status: STATUS.NO_SUCH_FILE, message: 'No such file or directory' };
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return { status: STATUS.PERMISSION_DENIED, message: 'Permission denied' };
  }
  return { status: STATUS.FAILURE, message: error instanceof Error ? error.message : String(error) };
}
