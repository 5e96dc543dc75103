/**
 * A short text that processes share and change one after the other, without locks: nothing can be left locked by a
 * process that is killed or stopped.
 *
 * Each version is a symbolic link `<name>.<number>` whose target is the text. Making a link is one atomic step that
 * fails if the name exists, so of all who saw version n only one makes version n+1; the others look again. A reader
 * never sees half a text.
 *
 * Old versions are removed by who comes next, but not at once: who still takes one for the last must find the name
 * after it in use.
 */
import { lstatSync, readdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Far longer than anybody looks at a version, unless it is stopped there. Milliseconds. */
const KEEP_MS = 10_000;
/** Lost races before giving up: each one means that somebody else got through. */
const MAX_LOST_RACES = 1_000;

export class SharedText {
  readonly #directory: string;
  readonly #prefix: string;

  /** `name`: letters, digits and hyphens. */
  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#prefix = `${name}.`;
  }

  /** The text as it is now; undefined when there is none. Throws the errors of the file system. */
  read(): string | undefined {
    for (let lost = 0; lost < MAX_LOST_RACES; lost += 1) {
      const [last] = this.#versions();
      if (last === undefined) return undefined;
      const text = this.#readVersion(last);
      if (text !== undefined) return text;
    }
    return undefined;
  }

  /**
   * Replaces the text by what `change` makes of it, which may be called several times and must not be empty.
   * Undefined from `change` leaves it as it is. False when it did not come through. Throws the errors of the file
   * system.
   */
  update(change: (text: string | undefined) => string | undefined): boolean {
    for (let lost = 0; lost < MAX_LOST_RACES; lost += 1) {
      const [last = 0, ...older] = this.#versions();
      const text = last === 0 ? undefined : this.#readVersion(last);
      // Removed since: there is a newer one.
      if (last !== 0 && text === undefined) continue;
      const changed = change(text);
      if (changed === undefined) return true;
      try {
        symlinkSync(changed, this.#path(last + 1));
      } catch (error) {
        if (codeOf(error) === 'EEXIST') continue;
        throw error;
      }
      this.#removeOld(older);
      return true;
    }
    return false;
  }

  /** Numbers of the versions that exist, newest first. */
  #versions(): number[] {
    const versions: number[] = [];
    for (const entry of readdirSync(this.#directory)) {
      if (!entry.startsWith(this.#prefix)) continue;
      const version = Number(entry.slice(this.#prefix.length));
      if (Number.isSafeInteger(version) && version > 0) versions.push(version);
    }
    return versions.sort((a, b) => b - a);
  }

  #readVersion(version: number): string | undefined {
    try {
      return readlinkSync(this.#path(version));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** `versions`: newest first. */
  #removeOld(versions: readonly number[]): void {
    try {
      for (const version of [...versions].reverse()) {
        const path = this.#path(version);
        if (Date.now() - lstatSync(path).mtimeMs < KEEP_MS) return;
        unlinkSync(path);
      }
    } catch {
      // Somebody else was faster.
    }
  }

  #path(version: number): string {
    return join(this.#directory, `${this.#prefix}${version}`);
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
