/**
 * Compiled code of our own files, kept between runs: V8's code cache saves a third of the CPU time of a start. Node 20
 * has none for CommonJS, so it is done here: a file that is loaded through this class is found there by a later require().
 *
 * A cache is executable code, so only a file of this user's own is taken, from a directory of this user's own that nobody
 * else can write to. Names hold the source's name (which has a hash of its content), its size and time, Node's version,
 * and V8's tag of its version, flags and the CPU. V8 checks again. Any doubt: no cache, and the source is compiled.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { Module, createRequire } from 'node:module';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { cachedDataVersionTag } from 'node:v8';
import { Script } from 'node:vm';

type Environment = Readonly<Record<string, string | undefined>>;

const PRIVATE_DIRECTORY = 0o700;
const PRIVATE_FILE = 0o600;
const WRITABLE_BY_OTHERS = 0o022;
/** Larger files are not ours. The largest of ours has less than 1 MB. */
const MAX_CACHE_BYTES = 8_000_000;
/** Files in the directory: three for each build and each Node in use. The oldest go. */
const MAX_FILES = 24;

interface Loaded {
  readonly path: string;
  readonly script: Script;
  /** What was made of the file in the cache. */
  readonly cache: 'taken' | 'absent' | 'rejected';
}

export class CodeCache {
  readonly #directory: string | undefined;
  readonly #loaded: Loaded[] = [];
  readonly #require = createRequire(import.meta.url);

  /** In XDG_CACHE_HOME or ~/.cache; without either, nothing is cached. */
  constructor(env: Environment) {
    const { XDG_CACHE_HOME: cache, HOME: home } = env;
    const base =
      cache !== undefined && isAbsolute(cache)
        ? cache
        : home !== undefined && isAbsolute(home)
          ? join(home, '.cache')
          : undefined;
    this.#directory = base === undefined ? undefined : join(base, 'ssm-proxy', 'code');
  }

  /** Runs a CommonJS file, so that require() of the same path has its exports. Does nothing when it cannot. */
  load(path: string): void {
    if (this.#require.cache[path] !== undefined) return;
    try {
      // One byte per character: the build writes ASCII.
      const source = readFileSync(path, 'latin1');
      const cachedData = this.#read(path);
      const script = new Script(Module.wrap(source), {
        filename: path,
        ...(cachedData !== undefined && { cachedData }),
      });
      this.#run(path, script);
      const cache =
        cachedData === undefined ? 'absent' : script.cachedDataRejected === true ? 'rejected' : 'taken';
      this.#loaded.push({ path, script, cache });
    } catch {
      // The plain require() that follows says what is wrong, if anything is.
      delete this.#require.cache[path];
    }
  }

  /** Writes what was not cached, functions compiled since included. Takes some 10 ms: for an idle moment. Never throws. */
  save(): void {
    const directory = this.#directory;
    const fresh = this.#loaded.filter(({ cache }) => cache !== 'taken');
    this.#loaded.length = 0;
    if (directory === undefined || fresh.length === 0) return;
    try {
      mkdirSync(directory, { recursive: true, mode: PRIVATE_DIRECTORY });
      if (!isPrivateDirectory(directory)) return;
      for (const loaded of fresh) store(join(directory, cacheName(loaded.path)), loaded);
      removeOld(directory);
    } catch {
      // A full or read-only disk: the next start compiles again.
    }
  }

  #run(path: string, script: Script): void {
    const module = new Module(path);
    module.filename = path;
    this.#require.cache[path] = module;
    const compiled = script.runInThisContext() as (...args: readonly unknown[]) => void;
    const directory = dirname(path);
    compiled.call(module.exports, module.exports, this.#requireFrom(directory), module, path, directory);
    module.loaded = true;
  }

  /** Finds what is loaded without asking the disk: Node would look for package.json at every first require(). */
  #requireFrom(directory: string): (id: string) => unknown {
    return (id) => {
      const path = id.startsWith('.') ? join(directory, id) : id;
      const exports: unknown = this.#require.cache[path]?.exports ?? this.#require(path);
      return exports;
    };
  }

  #read(path: string): Buffer | undefined {
    if (this.#directory === undefined || !isPrivateDirectory(this.#directory)) return undefined;
    return readOwnFile(join(this.#directory, cacheName(path)));
  }
}

function cacheName(path: string): string {
  const { size, mtimeMs } = statSync(path);
  const tag = cachedDataVersionTag();
  return [basename(path, '.cjs'), size, Math.round(mtimeMs), process.version, process.arch, tag].join('-');
}

/** Whole or not at all. Of many processes that start at once one does the work. */
function store(path: string, { script, cache }: Loaded): void {
  if (cache === 'absent' && statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, script.createCachedData(), { mode: PRIVATE_FILE, flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    quietly(() => unlinkSync(temporary));
    throw error;
  }
}

function removeOld(directory: string): void {
  const files = readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    const modifiedMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    return modifiedMs === undefined ? [] : [{ path, modifiedMs }];
  });
  files.sort((a, b) => b.modifiedMs - a.modifiedMs);
  for (const { path } of files.slice(MAX_FILES)) quietly(() => unlinkSync(path));
}

function isPrivateDirectory(path: string): boolean {
  const info = lstatSync(path, { throwIfNoEntry: false });
  return info !== undefined && info.isDirectory() && isOwn(info);
}

function readOwnFile(path: string): Buffer | undefined {
  let file: number;
  try {
    // Without O_NONBLOCK a FIFO by that name would never open.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const info = fstatSync(file);
    return info.isFile() && isOwn(info) && info.size <= MAX_CACHE_BYTES ? readFileSync(file) : undefined;
  } finally {
    closeSync(file);
  }
}

function isOwn({ uid, mode }: { readonly uid: number; readonly mode: number }): boolean {
  return uid === process.geteuid?.() && (mode & WRITABLE_BY_OTHERS) === 0;
}

function quietly(action: () => void): void {
  try {
    action();
  } catch {
    // Already gone.
  }
}
