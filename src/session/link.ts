/**
 * One WebSocket of a session, from the open message to its end, and the watch over its life: a ping now and then, and
 * a missed pong is the end of it. A link reports its end exactly once, and nothing after that.
 */
import { randomUUID } from 'node:crypto';
import { CLIENT_VERSION } from '../protocol/limits.ts';
import type { Connect, Transport, TransportClose } from '../transport/transport.ts';
import type { SessionGrant } from './contract.ts';

export interface LinkTimes {
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
}

export interface LinkEvents {
  /** The WebSocket is open and the open message sent. */
  onUp(): void;
  /** `hasMore`: another one follows at once. */
  onMessage(data: Buffer, hasMore: boolean): void;
  onPing(): void;
  onPong(): void;
  onDown(info: TransportClose): void;
}

export class Link {
  readonly #events: LinkEvents;
  readonly #times: LinkTimes;
  readonly #now: () => number;
  readonly #transport: Transport;
  #state: 'opening' | 'up' | 'down' = 'opening';
  #upAt = 0;
  #isReadingPaused = false;
  #pingAt: number | undefined;
  #pongBy: number | undefined;

  constructor(
    grant: SessionGrant,
    clientId: string,
    connect: Connect,
    times: LinkTimes,
    now: () => number,
    events: LinkEvents,
  ) {
    this.#events = events;
    this.#times = times;
    this.#now = now;
    this.#transport = connect(grant.streamUrl, {
      onOpen: () => this.#opened(grant.tokenValue, clientId),
      // Text messages are parsed the same way, as by the official client.
      onMessage: (data, _isBinary, hasMore = false) => {
        if (this.#state === 'up') events.onMessage(data, hasMore);
      },
      onPong: () => this.#ponged(),
      onDrain: () => {},
      onClose: (info) => this.#down(info),
    });
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  /** Milliseconds since it came up; 0 before. */
  get livedMs(): number {
    return this.#upAt === 0 ? 0 : this.#now() - this.#upAt;
  }

  get isReadingPaused(): boolean {
    return this.#isReadingPaused;
  }

  send(messages: readonly Buffer[]): void {
    if (this.#state === 'up') this.#transport.send(messages);
  }

  /** Stops reading from the socket. Pongs stay unread too, so their absence means nothing meanwhile. */
  pauseReading(): void {
    if (this.#isReadingPaused || this.#state !== 'up') return;
    this.#isReadingPaused = true;
    this.#transport.pause();
  }

  resumeReading(): void {
    if (!this.#isReadingPaused || this.#state !== 'up') return;
    this.#isReadingPaused = false;
    this.#pongBy = undefined;
    this.#transport.resume();
  }

  /** Asks for a sign of life at once: no pong within `pongTimeoutMs` is the end. */
  probe(pongTimeoutMs: number): void {
    if (this.#state !== 'up') return;
    this.#ping(Math.min(this.#pongBy ?? Infinity, this.#now() + pongTimeoutMs));
  }

  /** When to call `tick`. */
  deadline(): number | undefined {
    if (this.#state !== 'up') return undefined;
    return Math.min(this.#pingAt ?? Infinity, this.#pongBy ?? Infinity);
  }

  tick(now: number): void {
    if (this.#state !== 'up') return;
    if (this.#pongBy !== undefined && now >= this.#pongBy) {
      this.#pongBy = undefined;
      if (!this.#isReadingPaused) {
        this.drop('no pong');
        return;
      }
    }
    if (this.#pingAt !== undefined && now >= this.#pingAt)
      this.#ping(this.#pongBy ?? now + this.#times.pongTimeoutMs);
  }

  /** Cuts it, and reports its end as a loss. */
  drop(reason: string): void {
    this.#transport.destroy();
    this.#down({ code: 1006, reason, error: undefined });
  }

  /** Closes it in good order; its end is not reported. */
  close(): void {
    this.#state = 'down';
    this.#transport.close();
  }

  #opened(tokenValue: string, clientId: string): void {
    if (this.#state !== 'opening') return;
    this.#state = 'up';
    this.#upAt = this.#now();
    this.#pingAt = this.#upAt + this.#times.pingIntervalMs;
    this.#transport.sendText(
      JSON.stringify({
        MessageSchemaVersion: '1.0',
        RequestId: randomUUID(),
        TokenValue: tokenValue,
        ClientId: clientId,
        ClientVersion: CLIENT_VERSION,
      }),
    );
    this.#events.onUp();
  }

  #ping(pongBy: number): void {
    this.#pingAt = this.#now() + this.#times.pingIntervalMs;
    this.#pongBy = pongBy;
    this.#transport.ping();
    this.#events.onPing();
  }

  #ponged(): void {
    if (this.#state !== 'up') return;
    this.#pongBy = undefined;
    this.#events.onPong();
  }

  #down(info: TransportClose): void {
    if (this.#state === 'down') return;
    this.#state = 'down';
    this.#events.onDown(info);
  }
}
