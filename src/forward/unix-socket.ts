/**
 * A place for a Unix socket that only its owner can connect to, from its first moment on: it is bound in a private
 * directory beside, gets mode 0600, and is then renamed to its name. A socket that nobody listens on any more is
 * replaced; anything else with that name is left alone.
 */
import { rmSync, rmdirSync, lstatSync, unlinkSync } from 'node:fs';
import { chmod, lstat, mkdtemp, rename, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { ProxyError } from '../errors.ts';

/** sun_path of Linux and macOS, without the NUL; the shorter of the two. */
const MAX_PATH_BYTES = 103;

export class UnixSocketPlace {
  /** Where to bind. */
  readonly bindPath: string;
  readonly #path: string;
  readonly #directory: string;
  #inode: bigint | undefined;

  /** Throws LISTEN_FAILED when the name is taken, or cannot be. */
  static async prepare(path: string): Promise<UnixSocketPlace> {
    const full = resolve(path);
    try {
      await refuseIfTaken(full);
      return new UnixSocketPlace(full, await mkdtemp(join(dirname(full), '.s-')));
    } catch (error) {
      if (error instanceof ProxyError) throw error;
      throw listenFailed(path, error instanceof Error ? error.message : String(error), error);
    }
  }

  private constructor(path: string, directory: string) {
    this.#path = path;
    this.#directory = directory;
    this.bindPath = join(directory, 's');
    if (Buffer.byteLength(this.bindPath) > MAX_PATH_BYTES) {
      rmdirSync(directory);
      throw listenFailed(path, 'the path is too long for a socket', undefined);
    }
  }

  /** The socket listens at `bindPath`: gives it its name. */
  async publish(): Promise<void> {
    await chmod(this.bindPath, 0o600);
    this.#inode = (await lstat(this.bindPath, { bigint: true })).ino;
    await rename(this.bindPath, this.#path);
    await rm(this.#directory, { recursive: true, force: true });
  }

  async discard(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Removes the socket, unless another one has its name by now. */
  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
    try {
      if (lstatSync(this.#path, { bigint: true }).ino === this.#inode) unlinkSync(this.#path);
    } catch {
      // Gone already.
    }
  }
}

async function refuseIfTaken(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket())
    throw listenFailed(path, 'there is a file of that name, and it is no socket', undefined);
  if (await isAlive(path)) throw listenFailed(path, 'another process listens there', undefined);
}

/** A socket that refuses connections was left behind by a process that has gone. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((settle) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      settle(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      settle(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}

function listenFailed(path: string, reason: string, cause: unknown): ProxyError {
  return new ProxyError('LISTEN_FAILED', `cannot listen on ${path}: ${reason}`, {
    hint: 'choose another path',
    cause,
  });
}
