/**
 * The keeper: holds sessions to nodes and lends streams of them to the user's `connect`s, over a Unix socket in the
 * user's private directory. One process for all nodes, profiles and regions.
 *
 * It leaves when nothing was asked of it for a while and nothing is open, when it is told to, and when another keeper
 * has taken its place. With the process gone the sockets of its clients close, and so do the connections on them.
 */
import { randomBytes } from 'node:crypto';
import { lstatSync, unlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { VERSION } from '../version.ts';
import { ask } from './client.ts';
import { Desk } from './desk.ts';
import type { OpenNodeSession } from './node-session.ts';
import { KeeperPlace } from './place.ts';
import { SharedNode } from './shared-node.ts';
import { PROTOCOL } from './wire.ts';
import type { ConnectRequest, ToldError } from './wire.ts';

/** Without a session, an opening or a client it stays for so long. Milliseconds. */
const LINGER_MS = 30_000;
/** How often it looks whether it is still wanted. Milliseconds. */
const HOUSEKEEPING_MS = 2_000;
/** Another keeper that does not answer within this is dead or stopped. Milliseconds. */
const OTHER_ANSWERS_MS = 1_000;
/** Clients at a time: far above what one machine starts, far below what descriptors allow. */
const MAX_CLIENTS = 4_000;
/** Reasons of broken streams that are remembered: their clients ask at once, if ever. */
const MAX_REASONS = 256;

export interface KeeperParts {
  /** Checked and private. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Of this process's environment; requests with another one are declined. */
  readonly processKey: string;
  /** How a session for a request is opened. */
  readonly opener: (request: ConnectRequest) => OpenNodeSession;
}

export class Keeper {
  /** Resolves when it has left and nothing is open any more. */
  readonly ended: Promise<void>;
  readonly #parts: KeeperParts;
  readonly #place: KeeperPlace;
  readonly #socketName = `k-${randomBytes(6).toString('hex')}`;
  readonly #nodes = new Map<string, SharedNode>();
  readonly #desks = new Set<Desk>();
  /** By client, oldest first. */
  readonly #reasons = new Map<number, ToldError>();
  #lastClient = 0;
  readonly #startedAt: number;
  #server: Server | undefined;
  #housekeeping: NodeJS.Timeout | undefined;
  #lastWantedAt: number;
  #isDraining = false;
  #isEnding = false;
  #resolveEnded!: () => void;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#place = new KeeperPlace(parts.directory);
    this.#startedAt = parts.clock.now();
    this.#lastWantedAt = this.#startedAt;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  /** False when there is another keeper that works. Rejects with the errors of the socket and the directory. */
  async start(): Promise<boolean> {
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
    server.maxConnections = MAX_CLIENTS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#place.path(this.#socketName), resolve);
    });
    this.#server = server;
    server.on('error', (error) => this.#parts.log.error('keeper_socket', { error: error.message }));
    if (!(await this.#claim())) {
      this.#close();
      return false;
    }
    this.#housekeeping = setInterval(() => this.#lookAfterHouse(), HOUSEKEEPING_MS);
    this.#parts.log.info('keeper_up', { pid: process.pid });
    return true;
  }

  /** Opens the session of a node before anybody asks for a stream of it. */
  warmUp(request: ConnectRequest): void {
    void this.#node(request).warmUp(request.idleMs);
  }

  /** Takes nobody new; what is open goes on, sessions without streams end. Idempotent. */
  drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#parts.log.info('keeper_drains');
    this.#leavePlace();
    this.#server?.close();
    this.#lookAfterHouse();
  }

  /** Ends everything. Never rejects. */
  async end(): Promise<void> {
    if (this.#isEnding) return this.ended;
    this.#isEnding = true;
    this.#leavePlace();
    this.#close();
    await Promise.all([...this.#nodes.values()].map((node) => node.end()));
    // Who is not carried gets an answer yet: those that waited for a session, and who asked for the end.
    for (const desk of this.#desks) if (desk.isCarrying) desk.close();
    this.#parts.log.info('keeper_gone');
    this.#resolveEnded();
  }

  async #claim(): Promise<boolean> {
    const { clock } = this.#parts;
    let dead: string | undefined;
    // Each round somebody else came up, and has died since.
    for (let round = 0; round < 5; round += 1) {
      const wallNow = clock.wallNow();
      if (this.#place.claim(this.#socketName, PROTOCOL, process.pid, wallNow, dead)) return true;
      const other = this.#place.find(wallNow);
      if (other.kind !== 'up') continue;
      const answer = await ask(this.#place.path(other.socket), { op: 'status' }, OTHER_ANSWERS_MS);
      if (answer !== undefined) return false;
      dead = other.socket;
    }
    return false;
  }

  #serve(socket: Socket): void {
    const { clock, log, processKey } = this.#parts;
    this.#lastWantedAt = clock.now();
    this.#lastClient += 1;
    const desk = new Desk(this.#lastClient, socket, {
      clock,
      log,
      version: VERSION,
      decline: (request) =>
        this.#isDraining || this.#isEnding
          ? 'the keeper is leaving'
          : request.processKey === processKey
            ? undefined
            : 'settings of Node differ',
      node: (request) => this.#node(request),
      broke: (id, error) => this.#broke(id, error),
      why: (id) => this.#reasons.get(id),
      status: () => this.#status(),
      drain: () => this.drain(),
      stop: () => this.end(),
    });
    this.#desks.add(desk);
    socket.once('close', () => {
      this.#desks.delete(desk);
      this.#lastWantedAt = clock.now();
    });
  }

  #broke(id: number, error: ToldError): void {
    this.#reasons.set(id, error);
    const [oldest] = this.#reasons.keys();
    if (this.#reasons.size > MAX_REASONS && oldest !== undefined) this.#reasons.delete(oldest);
  }

  #node(request: ConnectRequest): SharedNode {
    const known = this.#nodes.get(request.key);
    if (known !== undefined) return known;
    const node = new SharedNode({
      destination: `${request.target.target}:${request.target.port}`,
      open: this.#parts.opener(request),
      clock: this.#parts.clock,
    });
    this.#nodes.set(request.key, node);
    return node;
  }

  #status(): unknown {
    const { clock } = this.#parts;
    return {
      pid: process.pid,
      version: VERSION,
      ageMs: Math.round(clock.now() - this.#startedAt),
      rssBytes: process.memoryUsage.rss(),
      clients: [...this.#desks].filter(({ isCarrying }) => isCarrying).length,
      nodes: [...this.#nodes.values()].flatMap((node) => {
        const sessions = node.status();
        return sessions.length === 0 ? [] : [{ destination: node.destination, sessions }];
      }),
    };
  }

  #lookAfterHouse(): void {
    if (this.#isEnding) return;
    for (const [key, node] of this.#nodes) if (node.isForgettable) this.#nodes.delete(key);
    const now = this.#parts.clock.now();
    if (!this.#isDraining && !this.#isInPlace()) this.drain();
    const isUsed = this.#desks.size > 0;
    const hasOpen = [...this.#nodes.values()].some((node) => node.isInUse);
    if (isUsed || (hasOpen && !this.#isDraining)) return;
    if (this.#isDraining || now - this.#lastWantedAt >= LINGER_MS) void this.end();
  }

  /** Its socket is where it was, and it is the one that clients find. */
  #isInPlace(): boolean {
    try {
      if (!lstatSync(this.#place.path(this.#socketName)).isSocket()) return false;
      const place = this.#place.find(this.#parts.clock.wallNow());
      return place.kind === 'up' && place.socket === this.#socketName;
    } catch {
      return false;
    }
  }

  #leavePlace(): void {
    try {
      this.#place.leave(this.#socketName, this.#parts.clock.wallNow());
    } catch (error) {
      this.#parts.log.debug('keeper_place', { error: error instanceof Error ? error.message : '' });
    }
  }

  #close(): void {
    clearInterval(this.#housekeeping);
    this.#server?.close();
    try {
      unlinkSync(this.#place.path(this.#socketName));
    } catch {
      // net.Server has removed it, or the directory has gone.
    }
  }
}
