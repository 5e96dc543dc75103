/**
 * Local ports and sockets forwarded to what a node reaches: listeners, and for each destination its pool of sessions.
 * Writes nothing; everything worth telling goes to `events`.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import type { ForwardSession, ForwardSessionEvents } from './forward-session.ts';
import type { ForwardStream } from './forward-stream.ts';
import { join, reset } from './join.ts';
import type { ListenAddress, Listener } from './listener.ts';
import { listen } from './listener.ts';
import { SessionPool } from './pool.ts';
import type { OpenedForSocks } from './socks-door.ts';

/** What the node connects to. */
export interface ForwardDestination {
  /** Undefined: the node itself. */
  readonly host: string | undefined;
  readonly port: number;
}

export type ForwardRule =
  | { readonly kind: 'local'; readonly listen: ListenAddress; readonly to: ForwardDestination }
  /** A SOCKS proxy: the client says where to. */
  | { readonly kind: 'socks'; readonly listen: ListenAddress };

export interface Listening {
  readonly rule: ForwardRule;
  /** Where it listens, with the port that was found. */
  readonly address: ListenAddress;
}

export type OpenForwardSession = (
  destination: ForwardDestination,
  events: ForwardSessionEvents,
  signal: AbortSignal,
) => Promise<ForwardSession>;

export interface ForwarderParts {
  readonly rules: readonly ForwardRule[];
  readonly sessions: number | 'auto';
  readonly open: OpenForwardSession;
  readonly clock: Clock;
  /** A connection, or a session, has failed; the forward goes on. */
  readonly onTrouble: (error: ProxyError) => void;
}

/** Destinations of SOCKS clients that have sessions at the same time. */
const MAX_SOCKS_DESTINATIONS = 32;
/** A SOCKS destination that nobody is connected to is let go after so long. Milliseconds. */
const SOCKS_IDLE_MS = 300_000;
/** What the agent may need to connect, besides the round trip. Milliseconds. */
const DIAL_MS = 50;
/** Doubt that a destination connects ends with its first answer, for so long. Milliseconds. */
const TRUST_MS = 60_000;

export class Forwarder {
  readonly #parts: ForwarderParts;
  readonly #pools = new Map<string, SessionPool>();
  readonly #socksPools = new Set<string>();
  readonly #trustedUntil = new Map<string, number>();
  readonly #sockets = new Set<Socket>();
  readonly #listeners: Listener[] = [];
  readonly #listening: Listening[] = [];
  #isClosed = false;

  constructor(parts: ForwarderParts) {
    this.#parts = parts;
  }

  get listening(): readonly Listening[] {
    return this.#listening;
  }

  get sessions(): readonly ForwardSession[] {
    return [...this.#pools.values()].flatMap((pool) => pool.sessions);
  }

  /** Local connections now. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Listens, and opens the sessions of fixed destinations. Rejects with a ProxyError; nothing is left then. */
  async start(): Promise<void> {
    try {
      for (const rule of this.#parts.rules) {
        const listener = await listen(rule.listen, (socket) => this.#accept(rule, socket));
        this.#listeners.push(listener);
        this.#listening.push({ rule, address: listener.address });
      }
      const fixed = this.#parts.rules.flatMap((rule) => (rule.kind === 'local' ? [this.#pool(rule.to)] : []));
      await Promise.all([...new Set(fixed)].map((pool) => pool.warmUp()));
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Ends listeners, connections and sessions. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const listener of this.#listeners) listener.close();
    for (const socket of this.#sockets) reset(socket);
    await Promise.all([...this.#pools.values()].map((pool) => pool.close()));
  }

  // ---- connections -------------------------------------------------------------------------------------------

  #accept(rule: ForwardRule, socket: Socket): void {
    if (this.#isClosed) {
      reset(socket);
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    if (rule.kind === 'local') void this.#connect(socket, rule.to);
    else void this.#serveSocks(socket);
  }

  async #connect(socket: Socket, to: ForwardDestination): Promise<void> {
    try {
      this.#join(socket, await this.#pool(to).stream());
    } catch (thrown) {
      reset(socket);
      this.#trouble(asProxyError(thrown));
    }
  }

  async #serveSocks(socket: Socket): Promise<void> {
    const { serveSocks } = await import('./socks-door.ts');
    await serveSocks(socket, {
      open: ({ host, port }) => this.#openForSocks({ host: isNode(host) ? undefined : host, port }),
      join: (client, stream) => this.#join(client, stream),
    });
  }

  #join(socket: Socket, stream: ForwardStream): void {
    stream.once('error', (thrown) => {
      const error = asProxyError(thrown);
      // The end of a session is told once, by its pool.
      if (error.code === 'PORT_REFUSED' || error.code === 'STALLED') this.#trouble(error);
    });
    join(socket, stream);
  }

  async #openForSocks(to: ForwardDestination): Promise<OpenedForSocks> {
    const name = nameOf(to);
    const now = this.#parts.clock.now();
    if (!this.#pools.has(name)) {
      this.#makeRoomForSocks();
      this.#socksPools.add(name);
    }
    const pool = this.#pool(to);
    const stream = await pool.stream();
    stream.once('answer', () => this.#trustedUntil.set(name, this.#parts.clock.now() + TRUST_MS));
    const roundTripMs = Math.max(...pool.sessions.map((session) => session.stats().roundTripMs));
    const isTrusted = (this.#trustedUntil.get(name) ?? 0) > now;
    return { stream, doubtMs: isTrusted ? 0 : roundTripMs * 2 + DIAL_MS };
  }

  #trouble(error: ProxyError): void {
    if (!this.#isClosed) this.#parts.onTrouble(error);
  }

  // ---- pools -------------------------------------------------------------------------------------------------

  #pool(to: ForwardDestination): SessionPool {
    const name = nameOf(to);
    const existing = this.#pools.get(name);
    if (existing !== undefined) return existing;
    const { sessions, open, clock } = this.#parts;
    const isSocks = this.#socksPools.has(name);
    const pool = new SessionPool({
      destination: name,
      sessions,
      idleMs: isSocks ? SOCKS_IDLE_MS : undefined,
      open: (events, signal) => open(to, events, signal),
      clock,
      onTrouble: (error) => this.#trouble(error),
    });
    this.#pools.set(name, pool);
    return pool;
  }

  /** The SOCKS destination that was not asked for the longest goes, unless somebody is connected to it. */
  #makeRoomForSocks(): void {
    for (const name of [...this.#socksPools]) {
      if (this.#pools.get(name)?.isEmpty === true) this.#dropSocksPool(name);
    }
    if (this.#socksPools.size < MAX_SOCKS_DESTINATIONS) return;
    let oldest: string | undefined;
    let oldestAt = Infinity;
    for (const name of this.#socksPools) {
      const pool = this.#pools.get(name);
      if (pool === undefined || pool.streams > 0 || pool.usedAt >= oldestAt) continue;
      [oldest, oldestAt] = [name, pool.usedAt];
    }
    if (oldest === undefined) {
      throw new ProxyError(
        'TOO_MANY_CONNECTIONS',
        `${MAX_SOCKS_DESTINATIONS} SOCKS destinations are in use`,
        {
          hint: 'each needs a session of its own; close some connections',
        },
      );
    }
    this.#dropSocksPool(oldest);
  }

  #dropSocksPool(name: string): void {
    void this.#pools.get(name)?.close();
    this.#pools.delete(name);
    this.#socksPools.delete(name);
    this.#trustedUntil.delete(name);
  }
}

/** The node itself, in the names that people use for it. */
export function isNode(host: string): boolean {
  return /^(localhost|127\.0\.0\.1|::1|0:0:0:0:0:0:0:1)$/i.test(host);
}

export function nameOf({ host, port }: ForwardDestination): string {
  if (host === undefined) return `localhost:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
