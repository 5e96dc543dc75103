/**
 * What processes of one user tell each other about lookups: answers that are still young, and wishes of those who have
 * time to wait until somebody asks AWS for all.
 *
 * An answer is a file of mode 0600 that appears whole. A wish is a symbolic link whose target is the wanted value: it
 * is made and read in one step. Files of others, links in place of files and what does not parse count as absent.
 * Every method swallows the errors of the file system: without files each process asks for itself.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fingerprint } from './identity.ts';

const PRIVATE_DIRECTORY = 0o700;
const PRIVATE_FILE = 0o600;
const OTHERS = 0o077;
/** Larger answers are not ours, unless the caller says so. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** Above so many entries the old ones are removed. */
const SWEEP_ABOVE = 300;
/** Nobody waits longer, and no answer lives longer, unless the caller says so. Milliseconds. */
const OLD_MS = 600_000;

export interface LookupFilesOptions {
  readonly maxAnswerBytes?: number;
  /** Name of the folder in the runtime directory. */
  readonly folder?: string;
  /** From this age on an answer may be removed. Milliseconds. */
  readonly keepMs?: number;
}

export class LookupFiles {
  readonly #directory: string;
  readonly #maxAnswerBytes: number;
  readonly #keepMs: number;

  /** `runtimeDirectory` has been checked (runtime-directory.ts); the files are in a folder of it. */
  constructor(runtimeDirectory: string, options: LookupFilesOptions = {}) {
    const { maxAnswerBytes = MAX_ANSWER_BYTES, folder = 'lookups', keepMs = OLD_MS } = options;
    this.#maxAnswerBytes = maxAnswerBytes;
    this.#keepMs = keepMs;
    this.#directory = join(runtimeDirectory, folder);
    quietly(() => mkdirSync(this.#directory, { mode: PRIVATE_DIRECTORY }));
  }

  /** The answer for `key`, unless it is older than `maxAgeMs`. `wallNowMs`: since the epoch. */
  find(key: string, maxAgeMs: number, wallNowMs: number): unknown {
    const text = quietly(() => readOwn(this.#path('answer', key), this.#maxAnswerBytes));
    const entry = quietly((): unknown => JSON.parse(text ?? 'null'));
    if (typeof entry !== 'object' || entry === null || !('at' in entry) || !('answer' in entry))
      return undefined;
    const ageMs = typeof entry.at === 'number' ? wallNowMs - entry.at : NaN;
    return ageMs >= 0 && ageMs <= maxAgeMs ? entry.answer : undefined;
  }

  store(key: string, answer: unknown, wallNowMs: number): void {
    const temporary = join(this.#directory, `.${randomBytes(8).toString('hex')}`);
    quietly(() => {
      writeFileSync(temporary, JSON.stringify({ at: wallNowMs, answer }), { mode: PRIVATE_FILE, flag: 'wx' });
      renameSync(temporary, this.#path('answer', key));
    });
    // Others are swept when wishes are read.
    if (this.#keepMs > OLD_MS) this.#sweepMany(quietly(() => readdirSync(this.#directory)) ?? [], wallNowMs);
  }

  forget(key: string): void {
    quietly(() => unlinkSync(this.#path('answer', key)));
  }

  /** Says that somebody waits for this value of the group. */
  wish(group: string, value: string): void {
    quietly(() => symlinkSync(value, this.#wishPath(group, value)));
  }

  /** The wish is fulfilled, or given up. */
  unwish(group: string, value: string): void {
    quietly(() => unlinkSync(this.#wishPath(group, value)));
  }

  /** Values of the group that somebody waits for. */
  wishes(group: string, wallNowMs: number): string[] {
    const names = quietly(() => readdirSync(this.#directory)) ?? [];
    this.#sweepMany(names, wallNowMs);
    const prefix = `wish-${group}-`;
    return names
      .filter((name) => name.startsWith(prefix))
      .flatMap((name) => quietly(() => readlinkSync(join(this.#directory, name))) ?? []);
  }

  #sweepMany(names: readonly string[], wallNowMs: number): void {
    if (names.length <= SWEEP_ABOVE) return;
    for (const name of names) {
      const path = join(this.#directory, name);
      quietly(() => {
        if (wallNowMs - lstatSync(path).mtimeMs > this.#keepMs) unlinkSync(path);
      });
    }
  }

  #path(kind: 'answer', key: string): string {
    return join(this.#directory, `${kind}-${key}`);
  }

  #wishPath(group: string, value: string): string {
    return join(this.#directory, `wish-${group}-${fingerprint(value)}`);
  }
}

/** The text of a file that only this user can have written. Throws otherwise. */
function readOwn(path: string, maxBytes: number): string {
  // Without O_NONBLOCK a FIFO by that name would never open.
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const info = fstatSync(file);
    const isOwn = info.uid === process.geteuid?.() && (info.mode & OTHERS) === 0;
    if (!info.isFile() || !isOwn || info.size > maxBytes) throw new Error('not a file of ours');
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

function quietly<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
