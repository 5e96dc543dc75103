/**
 * The service's end of one client WebSocket: latency and bandwidth both ways, pings, fragments, and the rude ways
 * in which a connection can end. It knows nothing of sessions.
 */
import * as net from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Clock, TimerHandle } from '../clock.ts';
import type { Faults } from './faults.ts';
import { LinkShaper } from './link-shaper.ts';

export interface ClientLinkEvents {
  onMessage(data: Buffer, isText: boolean): void;
  /** The connection is over; 1006 when there was no close frame. Called once. */
  onGone(code: number): void;
  /** Less is buffered than before. */
  onDrain(): void;
}

type Inbound =
  | { readonly kind: 'message'; readonly data: Buffer; readonly isText: boolean }
  | { readonly kind: 'ping'; readonly data: Buffer }
  | { readonly kind: 'gone'; readonly code: number };
type Outbound =
  | { readonly kind: 'message'; readonly data: Buffer }
  | { readonly kind: 'pong'; readonly data: Buffer }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string };

/** Above this much undelivered input the socket is no longer read. */
const INBOUND_BOUND_BYTES = 8 * 1024 * 1024;
/** A close frame is small. */
const CONTROL_BYTES = 32;
/** Ends a close handshake that the client does not answer. */
const CLOSE_WAIT_MS = 2000;
/** Lets a half frame reach the client before the socket goes. */
const CUT_WAIT_MS = 50;

export class ClientLink {
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  readonly #clock: Clock;
  readonly #faults: () => Readonly<Faults>;
  readonly #events: ClientLinkEvents;
  readonly #inbound: LinkShaper<Inbound>;
  readonly #outbound: LinkShaper<Outbound>;
  #isGone = false;
  #isHalfOpen = false;
  #isClosing = false;
  #endTimer: TimerHandle | undefined;

  constructor(
    webSocket: WebSocket,
    socket: Duplex,
    clock: Clock,
    faults: () => Readonly<Faults>,
    events: ClientLinkEvents,
  ) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#clock = clock;
    this.#faults = faults;
    this.#events = events;
    const settings = (bytesPerSecond: 'bytesPerSecondToClient' | 'bytesPerSecondToAgent') => () => {
      const { link } = faults();
      return { latencyMs: link.latencyMs, bytesPerSecond: link[bytesPerSecond] };
    };
    this.#inbound = new LinkShaper(clock, settings('bytesPerSecondToAgent'), (item) => this.#receive(item));
    this.#outbound = new LinkShaper(clock, settings('bytesPerSecondToClient'), (item) =>
      this.#transmit(item),
    );
    webSocket.on('message', (data: Buffer, isBinary: boolean) => {
      this.#accept({ kind: 'message', data, isText: !isBinary }, data.length);
    });
    webSocket.on('ping', (data: Buffer) => this.#accept({ kind: 'ping', data }, CONTROL_BYTES));
    webSocket.on('close', (code) => {
      this.#endTimer?.cancel();
      this.#inbound.send({ kind: 'gone', code }, CONTROL_BYTES);
    });
    // 'close' follows every error.
    webSocket.on('error', () => {});
  }

  /** Bytes not yet given to the kernel or still on their way. */
  get bufferedBytes(): number {
    return this.#outbound.queuedBytes + this.#webSocket.bufferedAmount;
  }

  send(data: Buffer): void {
    if (!this.#isGone && !this.#isClosing) this.#outbound.send({ kind: 'message', data }, data.length);
  }

  /** A close frame after everything sent before; the TCP connection ends soon after. */
  close(code: number, reason: string): void {
    if (this.#isGone || this.#isClosing) return;
    this.#isClosing = true;
    this.#outbound.send({ kind: 'close', code, reason }, CONTROL_BYTES);
  }

  /** TCP reset, with everything on its way lost. `partial`: first half of it as a WebSocket frame that never ends. */
  cut(partial?: Buffer): void {
    if (this.#isGone) return;
    this.#inbound.clear();
    this.#outbound.clear();
    if (partial === undefined) {
      resetSocket(this.#socket);
    } else {
      // A reset could overtake the half frame, so this one ends with FIN.
      this.#socket.write(halfFrame(partial));
      this.#socket.end();
      this.#endTimer = this.#clock.setTimer(CUT_WAIT_MS, () => this.#socket.destroy());
    }
    this.#report(1006);
  }

  /** From now on nothing passes and nothing is answered; the socket stays until the client drops it. */
  halfOpen(): void {
    if (this.#isGone) return;
    this.#isHalfOpen = true;
    this.#inbound.clear();
    this.#outbound.clear();
    // Read on and forget, so that the client's end of the connection is still noticed.
    this.#socket.removeAllListeners('data');
    this.#socket.on('data', () => {});
    this.#socket.resume();
  }

  #accept(item: Inbound, bytes: number): void {
    if (this.#isHalfOpen || this.#isGone) return;
    const { maxMessageBytes } = this.#faults().link;
    if (maxMessageBytes > 0 && bytes > maxMessageBytes) {
      this.close(1009, 'Max frame length of the service has been exceeded.');
      return;
    }
    this.#inbound.send(item, bytes);
    if (this.#inbound.queuedBytes > INBOUND_BOUND_BYTES) this.#webSocket.pause();
  }

  #receive(item: Inbound): void {
    if (this.#webSocket.isPaused && this.#inbound.queuedBytes < INBOUND_BOUND_BYTES / 2)
      this.#webSocket.resume();
    switch (item.kind) {
      case 'message':
        if (!this.#isGone) this.#events.onMessage(item.data, item.isText);
        return;
      case 'ping':
        if (this.#answersPings()) this.#outbound.send({ kind: 'pong', data: item.data }, CONTROL_BYTES);
        return;
      case 'gone':
        this.#outbound.clear();
        this.#report(item.code);
        return;
      default:
        return item satisfies never;
    }
  }

  #answersPings(): boolean {
    const { answerPings, blackhole } = this.#faults().link;
    return answerPings && blackhole === 'none' && !this.#isHalfOpen && !this.#isGone;
  }

  #transmit(item: Outbound): void {
    const webSocket = this.#webSocket;
    if (this.#isHalfOpen || webSocket.readyState !== webSocket.OPEN) return;
    switch (item.kind) {
      case 'message':
        this.#write(item.data);
        return;
      case 'pong':
        webSocket.pong(item.data);
        return;
      case 'close':
        webSocket.close(item.code, item.reason);
        this.#endTimer = this.#clock.setTimer(CLOSE_WAIT_MS, () => webSocket.terminate());
        return;
      default:
        return item satisfies never;
    }
  }

  #write(data: Buffer): void {
    const onSent = (): void => {
      if (!this.#isGone) this.#events.onDrain();
    };
    const { fragmentBytes } = this.#faults().link;
    if (fragmentBytes === 0 || data.length <= fragmentBytes) {
      this.#webSocket.send(data, { binary: true }, onSent);
      return;
    }
    for (let start = 0; start < data.length; start += fragmentBytes) {
      const fin = start + fragmentBytes >= data.length;
      const part = data.subarray(start, start + fragmentBytes);
      this.#webSocket.send(part, { binary: true, fin }, fin ? onSent : undefined);
    }
  }

  #report(code: number): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#events.onGone(code);
  }
}

/** Drops a connection with RST where the platform can (plain TCP), else with FIN. */
export function resetSocket(socket: Duplex): void {
  // A socket that is being ended cannot be reset any more: Node would leave its handle open for ever.
  const canReset = socket instanceof net.Socket && !('encrypted' in socket) && !socket.writableEnded;
  if (canReset && !socket.destroyed) socket.resetAndDestroy();
  else socket.destroy();
}

/** The header of a binary frame for all of `data`, then half of it (RFC 6455 5.2; servers do not mask). */
function halfFrame(data: Buffer): Buffer {
  const header = Buffer.alloc(data.length < 126 ? 2 : 10);
  header[0] = 0x82;
  if (data.length < 126) {
    header[1] = data.length;
  } else {
    header[1] = 127;
    header.writeBigUInt64BE(BigInt(data.length), 2);
  }
  return Buffer.concat([header, data.subarray(0, data.length >> 1)]);
}
