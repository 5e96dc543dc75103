/**
 * One WebSocket in memory and in virtual time: the client's Transport at one end, the service's ClientSocket at the
 * other, a FIFO each way. Nothing is delivered from within a send: as on a network, the other end hears of it later.
 */
import type { ClientSocket, ClientSocketEvents } from '../../../src/emulator/client-socket.ts';
import type { Transport, TransportClose, TransportEvents } from '../../../src/transport/transport.ts';
import type { VirtualClock } from '../virtual-clock.ts';

type ToClient =
  | { readonly kind: 'message'; readonly data: Buffer; readonly onSent: () => void }
  | { readonly kind: 'pong' }
  | { readonly kind: 'end'; readonly code: number; readonly reason: string };
type ToService =
  | { readonly kind: 'message'; readonly data: Buffer; readonly isText: boolean }
  | { readonly kind: 'ping' }
  | { readonly kind: 'end'; readonly code: number };

const BROKEN = 1006;
const NORMAL = 1000;

/** Delivers in order, as one event of the clock for all that waits. */
class Fifo<T> {
  readonly #clock: VirtualClock;
  readonly #deliver: (item: T) => void;
  #items: T[] = [];
  #isArmed = false;
  isPaused = false;

  constructor(clock: VirtualClock, deliver: (item: T) => void) {
    this.#clock = clock;
    this.#deliver = deliver;
  }

  get items(): readonly T[] {
    return this.#items;
  }

  push(item: T): void {
    this.#items.push(item);
    this.arm();
  }

  clear(): void {
    this.#items = [];
  }

  arm(): void {
    if (this.#isArmed || this.isPaused || this.#items.length === 0) return;
    this.#isArmed = true;
    this.#clock.setTimer(0, () => {
      this.#isArmed = false;
      const items = this.#items;
      this.#items = [];
      let taken = 0;
      for (const item of items) {
        if (this.isPaused) break;
        taken += 1;
        this.#deliver(item);
      }
      // Delivering may have paused it, or added to it.
      this.#items = [...items.slice(taken), ...this.#items];
      this.arm();
    });
  }
}

export class MemoryWire {
  readonly transport: Transport;
  readonly socket: ClientSocket;
  readonly #events: TransportEvents;
  readonly #toClient: Fifo<ToClient>;
  readonly #toService: Fifo<ToService>;
  #serviceEvents: ClientSocketEvents | undefined;
  #isOpen = false;
  #isClientOver = false;
  #isServiceOver = false;
  #isClosing = false;
  #isForgetting = false;

  constructor(clock: VirtualClock, events: TransportEvents) {
    this.#events = events;
    this.#toClient = new Fifo(clock, (item) => this.#atClient(item));
    this.#toService = new Fifo(clock, (item) => this.#atService(item));
    this.transport = this.#makeTransport();
    this.socket = this.#makeSocket();
  }

  /** The client has given it up, or heard of its end. */
  get isClientOver(): boolean {
    return this.#isClientOver;
  }

  /** The upgrade succeeded; somebody listens at `socket` by now. */
  open(): void {
    if (this.#isClientOver) return;
    this.#isOpen = true;
    this.#events.onOpen();
  }

  /** The connection could not be made. */
  fail(info: TransportClose): void {
    this.#endClient(info);
  }

  #makeTransport(): Transport {
    const say = (item: ToService): void => {
      if (this.#isOpen && !this.#isClientOver) this.#toService.push(item);
    };
    return {
      send: (messages) => {
        for (const data of messages) say({ kind: 'message', data, isText: false });
      },
      sendText: (text) => say({ kind: 'message', data: Buffer.from(text), isText: true }),
      ping: () => say({ kind: 'ping' }),
      pause: () => {
        this.#toClient.isPaused = true;
      },
      resume: () => {
        this.#toClient.isPaused = false;
        this.#toClient.arm();
      },
      bufferedBytes: 0,
      close: () => {
        say({ kind: 'end', code: NORMAL });
        this.#endClient({ code: NORMAL, reason: '', error: undefined });
      },
      destroy: () => {
        say({ kind: 'end', code: BROKEN });
        this.#endClient({ code: BROKEN, reason: '', error: undefined });
      },
    };
  }

  #makeSocket(): ClientSocket {
    const say = (item: ToClient): void => {
      if (!this.#isServiceOver && !this.#isClosing) this.#toClient.push(item);
    };
    const reset = (): void => {
      if (this.#isServiceOver) return;
      this.#toClient.clear();
      this.#toService.clear();
      this.#isClosing = false;
      say({ kind: 'end', code: BROKEN, reason: '' });
      this.#endService(BROKEN);
    };
    const isOpen = (): boolean => !this.#isServiceOver && !this.#isClosing;
    const bufferedBytes = (): number =>
      this.#toClient.items.reduce((sum, item) => sum + (item.kind === 'message' ? item.data.length : 0), 0);
    const isPaused = (): boolean => this.#toService.isPaused;
    return {
      get isOpen() {
        return isOpen();
      },
      get bufferedBytes() {
        return bufferedBytes();
      },
      get isPaused() {
        return isPaused();
      },
      listen: (events) => {
        this.#serviceEvents = events;
      },
      send: (data, _fragmentBytes, onSent) => say({ kind: 'message', data, onSent }),
      pong: () => say({ kind: 'pong' }),
      close: (code, reason) => {
        say({ kind: 'end', code, reason });
        this.#isClosing = true;
      },
      pause: () => {
        this.#toService.isPaused = true;
      },
      resume: () => {
        this.#toService.isPaused = false;
        this.#toService.arm();
      },
      forgetInput: () => {
        this.#isForgetting = true;
      },
      breakOff: () => {
        say({ kind: 'end', code: BROKEN, reason: '' });
        this.#isClosing = true;
      },
      reset,
      destroy: reset,
    };
  }

  #atClient(item: ToClient): void {
    if (this.#isClientOver) return;
    switch (item.kind) {
      case 'message':
        item.onSent();
        this.#events.onMessage(item.data, true);
        return;
      case 'pong':
        this.#events.onPong();
        return;
      case 'end':
        this.#toService.clear();
        this.#toService.push({ kind: 'end', code: item.code });
        this.#endClient({ code: item.code, reason: item.reason, error: undefined });
        return;
    }
  }

  #atService(item: ToService): void {
    if (this.#isServiceOver) return;
    switch (item.kind) {
      case 'message':
        if (!this.#isForgetting) this.#serviceEvents?.onMessage(item.data, item.isText);
        return;
      case 'ping':
        if (!this.#isForgetting) this.#serviceEvents?.onPing(Buffer.alloc(0));
        return;
      case 'end':
        this.#endService(item.code);
        return;
    }
  }

  #endClient(info: TransportClose): void {
    if (this.#isClientOver) return;
    this.#isClientOver = true;
    this.#toClient.clear();
    this.#events.onClose(info);
  }

  #endService(code: number): void {
    if (this.#isServiceOver) return;
    this.#isServiceOver = true;
    this.#serviceEvents?.onClose(code);
  }
}
