/**
 * Where the user's keeper is. One text for all processes (gate/shared-text.ts), which changes in one step, so of fifty
 * processes that find no keeper one starts it and the others know that it is being started.
 *
 *   starting <ms since the epoch> <pid>     somebody starts one
 *   up <protocol> <pid> <socket>            it listens on this socket, in the same directory
 *   none                                    it has left
 */
import { join } from 'node:path';
import { SharedText } from '../gate/shared-text.ts';

export type Place =
  | { readonly kind: 'none' }
  | { readonly kind: 'starting'; readonly sinceMs: number; readonly pid: number }
  | { readonly kind: 'up'; readonly protocol: number; readonly pid: number; readonly socket: string };

/** A start that takes longer has failed. Milliseconds. */
export const START_LIMIT_MS = 10_000;

const NAME = 'keeper';
const NONE: Place = { kind: 'none' };

/** All methods throw the errors of the file system. */
export class KeeperPlace {
  readonly #directory: string;
  readonly #text: SharedText;

  /** `directory` has been checked (gate/runtime-directory.ts). */
  constructor(directory: string) {
    this.#directory = directory;
    this.#text = new SharedText(directory, NAME);
  }

  /** `wallNowMs`: since the epoch. */
  find(wallNowMs: number): Place {
    return this.#current(this.#text.read(), wallNowMs);
  }

  /** True for the one process that shall start the keeper. `dead`: socket that nobody listens on any more. */
  claimStart(pid: number, wallNowMs: number, dead?: string): boolean {
    return this.#change((place) => {
      if (place.kind === 'starting') return undefined;
      if (place.kind === 'up' && place.socket !== dead) return undefined;
      return `starting ${wallNowMs} ${pid}`;
    }, wallNowMs);
  }

  /** Nothing came of the start that this process had claimed. */
  giveUpStart(pid: number, wallNowMs: number): void {
    this.#change((place) => (place.kind === 'starting' && place.pid === pid ? 'none' : undefined), wallNowMs);
  }

  /** False when another keeper is up. `dead` as above. */
  claim(socket: string, protocol: number, pid: number, wallNowMs: number, dead?: string): boolean {
    return this.#change((place) => {
      if (place.kind === 'up' && place.socket !== dead) return undefined;
      return `up ${protocol} ${pid} ${socket}`;
    }, wallNowMs);
  }

  /** The keeper on this socket takes no new connections. */
  leave(socket: string, wallNowMs: number): void {
    this.#change((place) => (place.kind === 'up' && place.socket === socket ? 'none' : undefined), wallNowMs);
  }

  path(socket: string): string {
    return join(this.#directory, socket);
  }

  /** `change` gives the new text, or undefined to leave it. True if it was changed. */
  #change(change: (place: Place) => string | undefined, wallNowMs: number): boolean {
    let hasChanged = false;
    const isThrough = this.#text.update((text) => {
      const changed = change(this.#current(text, wallNowMs));
      hasChanged = changed !== undefined;
      return changed;
    });
    return isThrough && hasChanged;
  }

  #current(text: string | undefined, wallNowMs: number): Place {
    const place = parsePlace(text ?? '');
    if (place.kind !== 'starting') return place;
    const ageMs = wallNowMs - place.sinceMs;
    return ageMs >= 0 && ageMs < START_LIMIT_MS ? place : NONE;
  }
}

function parsePlace(text: string): Place {
  const [kind, ...words] = text.split(' ');
  const [first = NaN, pid = NaN] = words.slice(0, 2).map(Number);
  const isWhole = Number.isSafeInteger(first) && Number.isSafeInteger(pid);
  if (kind === 'starting' && isWhole) return { kind, sinceMs: first, pid };
  const [, , socket = ''] = words;
  // A name, never a path: the socket is in the checked directory.
  if (kind === 'up' && isWhole && /^[\w.-]+$/.test(socket)) return { kind, protocol: first, pid, socket };
  return NONE;
}
