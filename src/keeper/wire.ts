/**
 * What clients and the keeper say to each other on the Unix socket: lines of JSON, and after `open` the bytes of the
 * port, raw, in both directions. A side that does not understand a line closes the socket.
 *
 *   client                              keeper
 *   { protocol, op: connect, ... }  ->
 *                                   <-  { is: seen, protocol, version }       at once
 *                                   <-  { is: stage, text }                   at least once a second while it opens
 *                                   <-  { is: open, id, sessionId, instanceId }   then bytes
 *                                    or { is: declined, reason }              the client goes its own way
 *                                    or { is: failed, error }                 so would the client
 */
import type { Socket } from 'node:net';
import type { ErrorCode } from '../errors.ts';
import type { TargetRequest } from '../find-target.ts';

/** Goes up with every change that the other side would misunderstand. */
export const PROTOCOL = 1;

/** An environment is the largest part of a request. */
const MAX_LINE_BYTES = 1024 * 1024;

/** Which port of which node, as `connect` was asked for it. */
export interface SharedTarget extends TargetRequest {
  readonly port: number;
  /** StartSession calls per second of all processes of the user; 0: no limit. */
  readonly startsPerSecond: number;
  readonly resumeTimeoutMs: number;
  readonly renewAfterMs: number;
  readonly pingIntervalMs: number;
  /** `safe`, `off`, `auto`, or messages per second. */
  readonly pace: string;
}

export interface ConnectRequest {
  readonly op: 'connect';
  /** Same key: same identity, target and settings (share-key.ts). */
  readonly key: string;
  /** Of the identity alone. */
  readonly identity: string;
  /** Settings of the process itself, which the keeper cannot change for one request. */
  readonly processKey: string;
  readonly target: SharedTarget;
  /** What an AWS identity can depend on; holds secrets. */
  readonly env: Readonly<Record<string, string>>;
  /** A session without streams is ended after so long. Milliseconds. */
  readonly idleMs: number;
  /** Most sessions for one node. */
  readonly maxSessions: number;
}

export type Request =
  | ConnectRequest
  /** Why the stream of this number broke. */
  | { readonly op: 'why'; readonly id: number }
  | { readonly op: 'status' }
  /** Ends everything. */
  | { readonly op: 'stop' }
  /** Takes no new connections, ends with the last one it has. */
  | { readonly op: 'drain' };

/** An error of the keeper's, to be reported as the client's own. */
export interface ToldError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
}

export type Reply =
  | { readonly is: 'seen'; readonly protocol: number; readonly version: string }
  | { readonly is: 'stage'; readonly text: string }
  | { readonly is: 'open'; readonly id: number; readonly sessionId: string; readonly instanceId: string }
  | { readonly is: 'declined'; readonly reason: string }
  | { readonly is: 'failed'; readonly error: ToldError }
  | { readonly is: 'why'; readonly error: ToldError | undefined }
  | { readonly is: 'status'; readonly status: unknown }
  | { readonly is: 'done' };

export function formatLine(content: Request | Reply): string {
  return `${JSON.stringify(content)}\n`;
}

/** Reads lines from a socket, then lets it go with the bytes that came after the last one. */
export class LineReader {
  readonly #socket: Socket;
  readonly #onLine: (content: unknown) => void;
  readonly #onData = (chunk: Buffer): void => this.#take(chunk);
  #pending: Buffer = Buffer.alloc(0);
  #isReleased = false;

  /** `onLine` gets what a line holds; undefined for a line that cannot be read. It may call `release`. */
  constructor(socket: Socket, onLine: (content: unknown) => void) {
    this.#socket = socket;
    this.#onLine = onLine;
    socket.on('data', this.#onData);
  }

  /** Stops reading: from now on the socket is paused, and what follows the last line is its next data. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#socket.off('data', this.#onData);
    this.#socket.pause();
    if (this.#pending.length > 0) this.#socket.unshift(this.#pending);
    this.#pending = Buffer.alloc(0);
  }

  #take(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (!this.#isReleased) {
      const end = this.#pending.indexOf(0x0a);
      if (end < 0) {
        if (this.#pending.length > MAX_LINE_BYTES) this.#socket.destroy();
        return;
      }
      const line = this.#pending.toString('utf8', 0, end);
      this.#pending = this.#pending.subarray(end + 1);
      this.#onLine(parseLine(line));
    }
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
