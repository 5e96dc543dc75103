/**
 * One SOCKS client: reads where it wants to go, has a stream opened to there, and answers when the agent can be
 * taken to have connected. The agent says only when it could not: so an answer is withheld for about one round trip,
 * unless the far end speaks before.
 */
import type { Socket } from 'node:net';
import { asProxyError } from '../errors.ts';
import type { ForwardStream } from './forward-stream.ts';
import { reset } from './join.ts';
import { SOCKS_STATUS, greetingAnswer, readGreeting, readRequest, requestAnswer } from './socks-codec.ts';
import type { SocksDestination, SocksPart, SocksStatus } from './socks-codec.ts';

/** From the connection to the whole request. Milliseconds. */
const REQUEST_LIMIT_MS = 10_000;
/** Longest request: a name of 255 bytes; clients may send ahead. */
const REQUEST_LIMIT_BYTES = 64 * 1024;

export interface OpenedForSocks {
  readonly stream: ForwardStream;
  /** How long to wait for the news that the agent could not connect. Milliseconds. */
  readonly doubtMs: number;
}

export interface SocksDoor {
  /** Rejects with a ProxyError. */
  open(destination: SocksDestination): Promise<OpenedForSocks>;
  /** The client has its answer; the stream is its connection. */
  join(socket: Socket, stream: ForwardStream): void;
}

/** `socket` is paused and has an `error` listener. Never rejects. */
export async function serveSocks(socket: Socket, door: SocksDoor): Promise<void> {
  const conversation = new Conversation(socket);
  const greeting = await conversation.next(readGreeting);
  if (greeting === undefined) return reset(socket);
  socket.write(greetingAnswer(greeting));
  if (!greeting) return void socket.end();
  const request = await conversation.next(readRequest);
  if (request === undefined) return reset(socket);
  if (typeof request === 'number') return void socket.end(requestAnswer(request));
  conversation.giveBack();
  let stream: ForwardStream | undefined;
  try {
    const opened = await door.open(request);
    stream = opened.stream;
    await untilTrusted(stream, opened.doubtMs);
  } catch (thrown) {
    socket.end(requestAnswer(statusOf(thrown)));
    // Half-open: it must not stay for a client that does not close.
    socket.once('finish', () => socket.destroySoon());
    return;
  }
  if (socket.destroyed) {
    stream.destroy();
    return;
  }
  socket.write(requestAnswer(SOCKS_STATUS.SUCCEEDED));
  door.join(socket, stream);
}

/** Rejects with the stream's error when it fails within `doubtMs`. */
function untilTrusted(stream: ForwardStream, doubtMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(), doubtMs);
    const onAnswer = (): void => settle();
    const settle = (error?: Error): void => {
      clearTimeout(timer);
      stream.off('answer', onAnswer);
      stream.off('error', settle);
      if (error === undefined) resolve();
      else reject(error);
    };
    stream.once('answer', onAnswer);
    stream.once('error', settle);
  });
}

function statusOf(thrown: unknown): SocksStatus {
  switch (asProxyError(thrown).code) {
    case 'PORT_REFUSED':
      return SOCKS_STATUS.REFUSED;
    case 'ACCESS_DENIED':
      return SOCKS_STATUS.NOT_ALLOWED;
    case 'TARGET_NOT_CONNECTED':
    case 'TARGET_STOPPED':
    case 'TARGET_TERMINATED':
      return SOCKS_STATUS.HOST_UNREACHABLE;
    default:
      return SOCKS_STATUS.FAILED;
  }
}

/** What the client sends, part by part. */
class Conversation {
  readonly #socket: Socket;
  readonly #deadline = performance.now() + REQUEST_LIMIT_MS;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Undefined when the client has gone, or takes too long or too much. */
  async next<T>(read: (bytes: Buffer) => SocksPart<T>): Promise<T | undefined> {
    for (;;) {
      const part = read(this.#bytes);
      if (part !== undefined) {
        this.#bytes = this.#bytes.subarray(part.usedBytes);
        return part.value;
      }
      const more = this.#bytes.length > REQUEST_LIMIT_BYTES ? undefined : await this.#more();
      if (more === undefined) return undefined;
      this.#bytes = Buffer.concat([this.#bytes, more]);
    }
  }

  /** What was sent ahead is the connection's. */
  giveBack(): void {
    if (this.#bytes.length > 0) this.#socket.unshift(this.#bytes);
  }

  #more(): Promise<Buffer | undefined> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(undefined), this.#deadline - performance.now());
      const onGone = (): void => settle(undefined);
      const settle = (data: Buffer | undefined): void => {
        clearTimeout(timer);
        socket.pause();
        socket.off('data', settle);
        socket.off('end', onGone);
        socket.off('close', onGone);
        resolve(data);
      };
      socket.on('data', settle);
      socket.on('end', onGone);
      socket.on('close', onGone);
      socket.resume();
    });
  }
}
