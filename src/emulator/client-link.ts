/**
 * The service's end of one client WebSocket: latency and bandwidth both ways, pings, fragments, and the rude ways
 * in which a connection can end. It knows nothing of sessions.
 */
import type { Clock, TimerHandle } from '../clock.ts';
import type { ClientSocket } from './client-socket.ts';
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
  readonly #socket: ClientSocket;
  readonly #clock: Clock;
  readonly #faults: () => Readonly<Faults>;
  readonly #events: ClientLinkEvents;
  readonly #inbound: LinkShaper<Inbound>;
  readonly #outbound: LinkShaper<Outbound>;
  #isGone = false;
  #isHalfOpen = false;
  #isClosing = false;
  #endTimer: TimerHandle | undefined;

  constructor(socket: ClientSocket, clock: Clock, faults: () => Readonly<Faults>, events: ClientLinkEvents) {
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
    socket.listen({
      onMessage: (data, isText) => this.#accept({ kind: 'message', data, isText }, data.length),
      onPing: (data) => this.#accept({ kind: 'ping', data }, CONTROL_BYTES),
      onClose: (code) => {
        this.#endTimer?.cancel();
        this.#inbound.send({ kind: 'gone', code }, CONTROL_BYTES);
      },
    });
  }

  /** Bytes not yet given to the kernel or still on their way. */
  get bufferedBytes(): number {
    return this.#outbound.queuedBytes + this.#socket.bufferedBytes;
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
      this.#socket.reset();
    } else {
      this.#socket.breakOff(partial);
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
    this.#socket.forgetInput();
  }

  #accept(item: Inbound, bytes: number): void {
    if (this.#isHalfOpen || this.#isGone) return;
    const { maxMessageBytes } = this.#faults().link;
    if (maxMessageBytes > 0 && bytes > maxMessageBytes) {
      this.close(1009, 'Max frame length of the service has been exceeded.');
      return;
    }
    this.#inbound.send(item, bytes);
    if (this.#inbound.queuedBytes > INBOUND_BOUND_BYTES) this.#socket.pause();
  }

  #receive(item: Inbound): void {
    if (this.#socket.isPaused && this.#inbound.queuedBytes < INBOUND_BOUND_BYTES / 2) this.#socket.resume();
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
    const socket = this.#socket;
    if (this.#isHalfOpen || !socket.isOpen) return;
    switch (item.kind) {
      case 'message':
        socket.send(item.data, this.#faults().link.fragmentBytes, () => {
          if (!this.#isGone) this.#events.onDrain();
        });
        return;
      case 'pong':
        socket.pong(item.data);
        return;
      case 'close':
        socket.close(item.code, item.reason);
        this.#endTimer = this.#clock.setTimer(CLOSE_WAIT_MS, () => socket.destroy());
        return;
      default:
        return item satisfies never;
    }
  }

  #report(code: number): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#events.onGone(code);
  }
}
