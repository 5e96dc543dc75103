/**
 * The data channel's WebSocket, with the `ws` package behind our own interface.
 *
 * - The request line carries the URL's path and query byte for byte; `ws` alone would normalise them.
 * - Each connect is signed anew (`sign`), with the credentials of that moment.
 * - No compression: what passes is ssh's ciphertext. No subprotocol.
 * - `wss:` only. Plain `ws:` is for this machine itself: anything else would show the token to the network.
 * - Everything ends: opening within a timeout, closing within a short one, and every socket has an error listener.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import WebSocket from 'ws';
import { ProxyError, firstLine } from '../errors.ts';
import type { Log } from '../log.ts';
import { systemCode, translateConnectError } from './connect-error.ts';
import { joinFrames } from './frames.ts';
import type { Network } from './network.ts';
import { isLoopback, splitUrl } from './raw-url.ts';
import { readRefusal } from './refusal.ts';
import type { Connect, Transport, TransportClose, TransportEvents } from './transport.ts';

/** Signing, DNS, TCP, proxy, TLS and upgrade together. Milliseconds. */
export const OPEN_TIMEOUT_MS = 15_000;
/** From our close frame to the drop of a connection whose peer does not answer. Milliseconds. */
export const CLOSE_TIMEOUT_MS = 1_000;
/** Largest message taken; the service's own limit is not published, and 64 KiB and more have been reported. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Messages that leave together go out in writes of about this size. */
const JOINED_BYTES = 256 * 1024;

export interface WebSocketOptions {
  readonly network: Network;
  /** Headers that sign the upgrade request to this URL; undefined to go unsigned. May throw a ProxyError. */
  readonly sign: (url: string) => Promise<Readonly<Record<string, string>> | undefined>;
  readonly log: Log;
  readonly openTimeoutMs?: number;
  readonly closeTimeoutMs?: number;
}

export function createWebSocketConnect(options: WebSocketOptions): Connect {
  return (url, events) => new WebSocketTransport(url, events, options);
}

class WebSocketTransport implements Transport {
  readonly #url: string;
  readonly #events: TransportEvents;
  readonly #options: WebSocketOptions;
  readonly #openTimer: NodeJS.Timeout;
  /** Ends the making of the connection. */
  readonly #abort = new AbortController();
  #socket: WebSocket | undefined;
  /** The TCP or TLS socket below, once open. */
  #raw: Socket | undefined;
  #state: 'opening' | 'open' | 'closing' | 'closed' = 'opening';
  #error: ProxyError | undefined;
  #httpStatus: number | undefined;
  #isDrainDue = false;
  /** Of this turn, not yet passed on. */
  #arrived: { readonly data: Buffer; readonly isBinary: boolean }[] = [];

  constructor(url: string, events: TransportEvents, options: WebSocketOptions) {
    this.#url = url;
    this.#events = events;
    this.#options = options;
    const timeoutMs = options.openTimeoutMs ?? OPEN_TIMEOUT_MS;
    this.#openTimer = setTimeout(() => {
      this.#fail(this.#opening('ETIMEDOUT', `no answer within ${String(timeoutMs / 1000)} s`));
    }, timeoutMs);
    // Events come only after the constructor has returned the transport to its owner.
    this.#open().catch((error: unknown) => this.#fail(this.#translate(error)));
  }

  async #open(): Promise<void> {
    const target = splitUrl(this.#url);
    await Promise.resolve();
    if (target === undefined || (target.scheme !== 'wss' && target.scheme !== 'ws')) {
      throw new ProxyError('CHANNEL_OPEN_FAILED', 'the stream URL is not a WebSocket URL');
    }
    if (target.scheme === 'ws' && !isLoopback(target.hostname)) {
      throw new ProxyError(
        'CHANNEL_OPEN_FAILED',
        `the stream URL of ${target.hostHeader} is not encrypted (ws:), which is accepted on this machine only`,
        { hint: 'use an https or wss endpoint' },
      );
    }
    const { network, sign } = this.#options;
    const [headers, agent] = await Promise.all([
      sign(this.#url),
      network.agentFor(this.#url, { isChannel: true, signal: this.#abort.signal }),
    ]);
    if (this.#state !== 'opening') return;
    // closeTimeout is documented by ws and missing from its types.
    const clientOptions: WebSocket.ClientOptions & { closeTimeout: number } = {
      agent,
      headers: headers ?? {},
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      // Text messages are parsed as bytes, as the official clients do.
      skipUTF8Validation: true,
      closeTimeout: this.#options.closeTimeoutMs ?? CLOSE_TIMEOUT_MS,
      finishRequest(request) {
        request.path = target.pathAndQuery;
        request.end();
      },
    };
    const socket = new WebSocket(`${target.scheme}://${target.authority}/`, clientOptions);
    this.#socket = socket;
    socket.on('error', (error) => this.#onError(error));
    socket.on('upgrade', (response) => this.#onUpgrade(response));
    socket.on('unexpected-response', (_request, response) => this.#onRefused(response));
    socket.on('open', () => this.#onOpen());
    socket.on('message', (data, isBinary) => {
      this.#received(asBuffer(data), isBinary);
    });
    socket.on('pong', () => {
      if (this.#state === 'open') this.#events.onPong();
    });
    socket.on('close', (code, reason) => this.#finish(code, reason.toString('utf8')));
  }

  #onUpgrade(response: IncomingMessage): void {
    this.#raw = response.socket;
    // `ws` drops the reason of a broken connection; it is wanted in the log and in the error.
    response.socket.on('error', (error) => {
      this.#error ??= this.#lost(systemCode(error) ?? error.message, error);
    });
  }

  #onOpen(): void {
    if (this.#state !== 'opening') return;
    clearTimeout(this.#openTimer);
    this.#state = 'open';
    this.#options.log.debug('open', { isTls: this.#raw !== undefined && 'encrypted' in this.#raw });
    this.#events.onOpen();
  }

  /** Messages of one read of the socket come one by one, in one go; they are passed on when all are there. */
  #received(data: Buffer, isBinary: boolean): void {
    if (this.#state !== 'open') return;
    this.#arrived.push({ data, isBinary });
    if (this.#arrived.length === 1) queueMicrotask(this.#passOn);
  }

  readonly #passOn = (): void => {
    const arrived = this.#arrived;
    this.#arrived = [];
    for (let i = 0; i < arrived.length; i += 1) {
      const message = arrived[i];
      if (this.#state !== 'open' || message === undefined) return;
      this.#events.onMessage(message.data, message.isBinary, i + 1 < arrived.length);
    }
  };

  #onRefused(response: IncomingMessage): void {
    this.#httpStatus = response.statusCode ?? 0;
    readRefusal(response, this.#url, (error) => this.#fail(error));
  }

  #onError(error: Error): void {
    if (this.#state === 'opening') {
      this.#fail(this.#translate(error));
    } else {
      this.#error ??= this.#lost(firstLine(error.message), error);
    }
  }

  /** Ends a connection that failed on our side of the interface, or before it was open. */
  #fail(error: ProxyError): void {
    if (this.#state === 'closed') return;
    this.#error ??= error;
    this.#finish(1006, '');
  }

  #finish(code: number, reason: string): void {
    if (this.#state === 'closed') return;
    // What arrived before the end counts.
    this.#passOn();
    this.#state = 'closed';
    clearTimeout(this.#openTimer);
    this.#abort.abort();
    this.#socket?.terminate();
    const error = this.#error;
    this.#options.log.debug('close', { code, reason, error: error?.message, httpStatus: this.#httpStatus });
    const info: TransportClose = { code, reason, error };
    this.#events.onClose(this.#httpStatus === undefined ? info : { ...info, httpStatus: this.#httpStatus });
  }

  send(messages: readonly Buffer[]): void {
    const socket = this.#socket;
    const raw = this.#raw;
    if (this.#state !== 'open' || socket === undefined || raw === undefined) return;
    // After a close frame no data may follow; `ws` answers the peer's by itself.
    if (socket.readyState !== WebSocket.OPEN) return;
    // Past `ws`, which writes its own frames whole and at once as long as nothing is compressed: both keep their order.
    let first = 0;
    let bytes = 0;
    for (let i = 0; i < messages.length; i += 1) {
      bytes += messages[i]?.length ?? 0;
      if (bytes < JOINED_BYTES && i + 1 < messages.length) continue;
      const part = first === 0 && i + 1 === messages.length ? messages : messages.slice(first, i + 1);
      raw.write(joinFrames(part), this.#onWritten);
      first = i + 1;
      bytes = 0;
    }
    if (raw.writableLength > 0) this.#isDrainDue = true;
  }

  sendText(text: string): void {
    const socket = this.#socket;
    if (this.#state !== 'open' || socket === undefined) return;
    socket.send(text, this.#onWritten);
    if (socket.bufferedAmount > 0) this.#isDrainDue = true;
  }

  /** Called for every write, also for failed ones; the close that follows those is reported by itself. */
  readonly #onWritten = (): void => {
    if (!this.#isDrainDue || this.#state !== 'open' || this.bufferedBytes > 0) return;
    this.#isDrainDue = false;
    this.#events.onDrain();
  };

  ping(): void {
    if (this.#state === 'open') this.#socket?.ping();
  }

  pause(): void {
    if (this.#state === 'open') this.#socket?.pause();
  }

  resume(): void {
    if (this.#state === 'open') this.#socket?.resume();
  }

  get bufferedBytes(): number {
    return this.#state === 'open' || this.#state === 'closing' ? (this.#socket?.bufferedAmount ?? 0) : 0;
  }

  close(): void {
    if (this.#state === 'opening') return this.destroy();
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    // A paused socket would not read the peer's close frame.
    this.#socket?.resume();
    this.#socket?.close(1000);
  }

  destroy(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closing';
    queueMicrotask(() => this.#finish(1006, ''));
  }

  #translate(error: unknown): ProxyError {
    return translateConnectError(error, this.#url, this.#proxy());
  }

  /** CONFIG_INVALID of the proxy settings has its own report. */
  #proxy(): string | undefined {
    try {
      return this.#options.network.proxyFor(this.#url);
    } catch {
      return undefined;
    }
  }

  #opening(code: string, text: string): ProxyError {
    return this.#translate(Object.assign(new Error(text), { code }));
  }

  #lost(reason: string, cause: unknown): ProxyError {
    const host = splitUrl(this.#url)?.hostHeader ?? 'the service';
    return new ProxyError('SESSION_LOST', `the data channel to ${host} was lost: ${reason}`, { cause });
  }
}

function asBuffer(data: WebSocket.RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
