/**
 * One client of the keeper: reads what it wants, tells how it goes, and joins its socket to a stream of a session.
 *
 * Bytes go through with backpressure both ways, and an end of one side is an end of that side only: the agent may still
 * have something to say to an ssh that has ended its input.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.ts';
import { asProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { NotShareable } from './node-session.ts';
import type { SharedNode } from './shared-node.ts';
import { LineReader, PROTOCOL, formatLine } from './wire.ts';
import type { ConnectRequest, Reply, Request, ToldError } from './wire.ts';

/** A client has so long to say what it wants. Milliseconds. */
const REQUEST_LIMIT_MS = 5_000;
/** Between two signs of life while a session opens. Milliseconds. */
const BEAT_MS = 1_000;

export interface DeskParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  /** Why this request cannot be served, if so. */
  readonly decline: (request: ConnectRequest) => string | undefined;
  readonly node: (request: ConnectRequest) => SharedNode;
  /** Takes note of why a stream broke, for who asks. */
  readonly broke: (id: number, error: ToldError) => void;
  readonly why: (id: number) => ToldError | undefined;
  readonly status: () => unknown;
  readonly drain: () => void;
  readonly stop: () => Promise<void>;
}

export class Desk {
  readonly #id: number;
  readonly #socket: Socket;
  readonly #parts: DeskParts;
  readonly #reader: LineReader;
  #limit: NodeJS.Timeout | undefined;
  #stream: Duplex | undefined;
  #stage = 'starting';

  /** `id`: no other client has it. */
  constructor(id: number, socket: Socket, parts: DeskParts) {
    this.#id = id;
    this.#socket = socket;
    this.#parts = parts;
    this.#limit = setTimeout(() => socket.destroy(), REQUEST_LIMIT_MS);
    // A client that has gone shows as `close`.
    socket.on('error', () => {});
    socket.once('close', () => this.#closed());
    socket.once('end', () => {
      if (this.#stream === undefined) socket.destroy();
    });
    this.#reader = new LineReader(socket, (content) => this.#requested(content));
  }

  /** It has a stream. */
  get isCarrying(): boolean {
    return this.#stream !== undefined;
  }

  close(): void {
    this.#socket.destroy();
  }

  #requested(content: unknown): void {
    clearTimeout(this.#limit);
    const request = asRequest(content);
    if (request === undefined) {
      this.#socket.destroy();
      return;
    }
    this.#say({ is: 'seen', protocol: PROTOCOL, version: this.#parts.version });
    switch (request.op) {
      case 'connect':
        void this.#connect(request);
        return;
      case 'why':
        this.#socket.end(formatLine({ is: 'why', error: this.#parts.why(request.id) }));
        return;
      case 'status':
        this.#socket.end(formatLine({ is: 'status', status: this.#parts.status() }));
        return;
      case 'drain':
        this.#parts.drain();
        this.#socket.end(formatLine({ is: 'done' }));
        return;
      case 'stop':
        // The answer first: when all has ended this socket has, too.
        void this.#parts.stop().then(() => this.#socket.end(formatLine({ is: 'done' })));
        return;
    }
  }

  async #connect(request: ConnectRequest): Promise<void> {
    const reason = this.#parts.decline(request);
    if (reason !== undefined) {
      this.#socket.end(formatLine({ is: 'declined', reason }));
      return;
    }
    const beat = setInterval(() => this.#say({ is: 'stage', text: this.#stage }), BEAT_MS);
    try {
      const { stream, session } = await this.#parts.node(request).stream({
        idleMs: request.idleMs,
        maxSessions: request.maxSessions,
        onStage: (text) => {
          this.#stage = text;
          this.#say({ is: 'stage', text });
        },
      });
      if (this.#socket.destroyed) {
        stream.on('error', () => {});
        stream.destroy();
        return;
      }
      const { sessionId, instanceId } = session;
      this.#say({ is: 'open', id: this.#id, sessionId, instanceId });
      this.#join(stream);
    } catch (thrown) {
      if (this.#socket.destroyed) return;
      this.#socket.end(formatLine(refusal(thrown)));
    } finally {
      clearInterval(beat);
    }
  }

  #join(stream: Duplex): void {
    const socket = this.#socket;
    this.#stream = stream;
    this.#reader.release();
    stream.on('error', (error) => {
      this.#parts.log.debug('shared_stream', { error: asProxyError(error).code });
      this.#parts.broke(this.#id, told(error));
      socket.destroy();
    });
    // A stream that is closed both ways has nothing more for the client, nor wants anything of it.
    stream.once('close', () => {
      if (!socket.writableEnded) socket.end();
      socket.resume();
    });
    socket.pipe(stream);
    stream.pipe(socket);
  }

  #closed(): void {
    clearTimeout(this.#limit);
    this.#stream?.destroy();
  }

  #say(reply: Reply): void {
    if (this.#stream === undefined && this.#socket.writable) this.#socket.write(formatLine(reply));
  }
}

function refusal(thrown: unknown): Reply {
  if (thrown instanceof NotShareable) return { is: 'declined', reason: thrown.message };
  return { is: 'failed', error: told(thrown) };
}

function told(thrown: unknown): ToldError {
  const { code, message, hint } = asProxyError(thrown);
  return { code, message, hint };
}

/** Only what this program sends; the directory lets in nobody else. */
function asRequest(content: unknown): Request | undefined {
  if (typeof content !== 'object' || content === null || !('op' in content)) return undefined;
  const request = content as Request;
  switch (request.op) {
    case 'why':
    case 'status':
    case 'stop':
    case 'drain':
      return request;
    case 'connect':
      return typeof request.key === 'string' && typeof request.target === 'object' ? request : undefined;
    default:
      return undefined;
  }
}
