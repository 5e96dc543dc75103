/**
 * What lies between the two channels of one session: every message is judged by the faults in force, passed on
 * unchanged, and the service adds its own when one side is away or the client is too fast.
 *
 * Bounds: what waits for an absent client, and what a slow client has not read. Beyond the second one the agent is
 * paused; in the real service TCP would hold it back.
 */
import { decodeMessage, MESSAGE_TYPE } from '../protocol/message.ts';
import type { Message } from '../protocol/message.ts';
import type { AgentSession } from './agent-link.ts';
import type { ClientLink } from './client-link.ts';
import type { TimerHandle } from '../clock.ts';
import type { LogFields } from '../log.ts';
import type { LinkAction } from './link-faults.ts';
import { LinkFaults } from './link-faults.ts';
import type { Direction } from './message-rule.ts';
import { RateWatch } from './rate-watch.ts';
import { formatPublication } from './service-messages.ts';
import type { World } from './world.ts';

export interface RelayEvents {
  /** A stream message passed: the session is not idle. */
  onActivity(): void;
  /** The client kept above the rate limit. */
  onRateExceeded(): void;
  trace(event: string, fields?: LogFields): void;
}

export interface RelayStats {
  readonly messagesToClient: number;
  readonly messagesToAgent: number;
  readonly bytesToClient: number;
  readonly bytesToAgent: number;
  /** Messages that a fault or an absent side kept from arriving. */
  readonly lostToClient: number;
  readonly lostToAgent: number;
  readonly keptForClient: number;
}

/** Kept for an absent client at most; then the newest are lost, as with the agent's own buffer. */
const KEEP_MESSAGES = 100_000;
const KEEP_BYTES = 128 * 1024 * 1024;
/** A slow client: the agent is paused above, started below. */
const SLOW_HIGH_BYTES = 1024 * 1024;
const SLOW_LOW_BYTES = 256 * 1024;
/** Nothing more is buffered for a client that does not read. */
const SLOW_MAX_BYTES = 64 * 1024 * 1024;
/** How long a reordered message waits for others to overtake it. */
const REORDER_WAIT_MS = 1000;

type Publication = typeof MESSAGE_TYPE.START_PUBLICATION | typeof MESSAGE_TYPE.PAUSE_PUBLICATION;

export class Relay {
  readonly #world: World;
  readonly #events: RelayEvents;
  readonly #faults: LinkFaults;
  readonly #rate = new RateWatch();
  readonly #timers = new Set<TimerHandle>();
  #agent: AgentSession | undefined;
  #isAgentUp = false;
  #link: ClientLink | undefined;
  #isMuted = false;
  readonly #isFlushDue: Record<Direction, boolean> = { 'to-client': false, 'to-agent': false };
  #hasHadClient = false;
  #isAgentHeldBack = false;
  #isClientPaused = false;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #stats = {
    messagesToClient: 0,
    messagesToAgent: 0,
    bytesToClient: 0,
    bytesToAgent: 0,
    lostToClient: 0,
    lostToAgent: 0,
  };

  constructor(world: World, random: () => number, events: RelayEvents) {
    this.#world = world;
    this.#events = events;
    this.#faults = new LinkFaults(random);
  }

  get stats(): RelayStats {
    return { ...this.#stats, keptForClient: this.#kept.length };
  }

  get isClientPresent(): boolean {
    return this.#link !== undefined;
  }

  // ---- sides come and go -------------------------------------------------------------------------------------

  attachAgent(agent: AgentSession): void {
    this.#agent = agent;
    this.#isAgentUp = true;
  }

  /** The agent's own channel is away or back; `gone` for good. */
  setAgentUp(isUp: boolean): void {
    this.#isAgentUp = isUp;
  }

  detachAgent(): void {
    this.#agent = undefined;
    this.#isAgentUp = false;
  }

  /** `isMuted`: connected, but no data flows (a stale URL). */
  attachClient(link: ClientLink, isMuted: boolean): void {
    const isReturn = this.#hasHadClient;
    this.#link = link;
    this.#isMuted = isMuted;
    this.#hasHadClient = true;
    this.#isClientPaused = false;
    this.#isAgentHeldBack = false;
    const { absent, open } = this.#world.faults;
    if (isMuted) return;
    if (open.startPublicationFirst) this.#notifyClient(MESSAGE_TYPE.START_PUBLICATION);
    const kept = this.#kept;
    this.#kept = [];
    this.#keptBytes = 0;
    for (const data of kept) this.#toClient(data);
    if (isReturn && absent.startAgent) this.#notifyAgent(MESSAGE_TYPE.START_PUBLICATION);
  }

  /** Only the link that is attached counts: a replaced one goes unnoticed. */
  detachClient(link: ClientLink): boolean {
    if (this.#link !== link) return false;
    this.#link = undefined;
    if (this.#world.faults.absent.pauseAgent) this.#notifyAgent(MESSAGE_TYPE.PAUSE_PUBLICATION);
    return true;
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#kept = [];
    this.#keptBytes = 0;
  }

  // ---- messages ----------------------------------------------------------------------------------------------

  fromClient(data: Buffer): void {
    const { blackhole } = this.#world.faults.link;
    if (this.#isMuted || blackhole === 'to-agent' || blackhole === 'both') {
      this.#stats.lostToAgent += 1;
      return;
    }
    const message = tryDecode(data);
    if (message?.messageType === MESSAGE_TYPE.INPUT_STREAM_DATA) {
      this.#events.onActivity();
      this.#watchRate();
    }
    this.#judge('to-agent', data, message);
  }

  fromAgent(data: Buffer): void {
    const message = tryDecode(data);
    const type = message?.messageType;
    // Meant for the service.
    if (type === MESSAGE_TYPE.AGENT_SESSION_STATE) return;
    if (type === MESSAGE_TYPE.OUTPUT_STREAM_DATA) this.#events.onActivity();
    if (!this.#isAgentUp) {
      this.#stats.lostToClient += 1;
      return;
    }
    this.#judge('to-client', data, message);
  }

  /** The service's own message to the client; rules reach it by its type. */
  serviceToClient(data: Buffer): void {
    this.#judge('to-client', data);
  }

  serviceToAgent(data: Buffer): void {
    if (this.#isAgentUp) this.#agent?.receive(data);
  }

  /** A pause or start made by the service. */
  notify(side: 'client' | 'agent', type: Publication): void {
    if (side === 'client') this.#notifyClient(type);
    else this.#notifyAgent(type);
  }

  /** The client's socket took some of what was buffered. */
  clientDrained(): void {
    if (!this.#isAgentHeldBack || (this.#link?.bufferedBytes ?? 0) > SLOW_LOW_BYTES) return;
    this.#isAgentHeldBack = false;
    this.#notifyAgent(MESSAGE_TYPE.START_PUBLICATION);
  }

  #judge(direction: Direction, data: Buffer, message = tryDecode(data)): void {
    this.#faults.setRules(this.#world.faults.rules);
    const actions = this.#faults.apply(direction, data, message);
    if (actions.length === 0) this.#countLost(direction);
    for (const action of actions) this.#perform(direction, action);
    if (this.#faults.hasHeld(direction)) this.#flushHeldLater(direction);
  }

  #perform(direction: Direction, action: LinkAction): void {
    switch (action.kind) {
      case 'pass':
        this.#deliver(direction, action.data);
        return;
      case 'pass-later':
        this.#later(action.delayMs, () => this.#deliver(direction, action.data));
        return;
      case 'cut':
        this.#countLost(direction);
        this.#events.trace('fault.cut');
        this.#link?.cut(action.partial);
        return;
      case 'close':
        this.#countLost(direction);
        this.#events.trace('fault.close', { code: action.code });
        this.#link?.close(action.code, action.reason);
        return;
      case 'half-open':
        this.#countLost(direction);
        this.#events.trace('fault.half-open');
        this.#link?.halfOpen();
        return;
      default:
        return action satisfies never;
    }
  }

  #deliver(direction: Direction, data: Buffer): void {
    if (direction === 'to-client') this.#toClient(data);
    else this.#toAgent(data);
  }

  #toAgent(data: Buffer): void {
    if (this.#agent === undefined || !this.#isAgentUp) {
      this.#stats.lostToAgent += 1;
      const isData = tryDecode(data)?.messageType === MESSAGE_TYPE.INPUT_STREAM_DATA;
      if (isData && this.#world.faults.absent.pauseClient) this.#notifyClient(MESSAGE_TYPE.PAUSE_PUBLICATION);
      return;
    }
    this.#stats.messagesToAgent += 1;
    this.#stats.bytesToAgent += data.length;
    // Any input or acknowledgement ends the agent's pause.
    this.#isAgentHeldBack = false;
    this.#agent.receive(data);
  }

  #toClient(data: Buffer): void {
    const { link: faults, absent } = this.#world.faults;
    const link = this.#link;
    if (link === undefined) {
      const mayKeep = this.#kept.length < KEEP_MESSAGES && this.#keptBytes + data.length <= KEEP_BYTES;
      const rule = this.#hasHadClient ? absent.clientFrames : absent.firstFrames;
      if (rule === 'keep' && mayKeep) {
        this.#kept.push(data);
        this.#keptBytes += data.length;
      } else this.#stats.lostToClient += 1;
      return;
    }
    if (this.#isMuted || faults.blackhole === 'to-client' || faults.blackhole === 'both') {
      this.#stats.lostToClient += 1;
      return;
    }
    if (link.bufferedBytes > SLOW_MAX_BYTES) {
      this.#stats.lostToClient += 1;
      return;
    }
    this.#stats.messagesToClient += 1;
    this.#stats.bytesToClient += data.length;
    link.send(data);
    if (link.bufferedBytes > SLOW_HIGH_BYTES && !this.#isAgentHeldBack) {
      this.#isAgentHeldBack = true;
      this.#notifyAgent(MESSAGE_TYPE.PAUSE_PUBLICATION);
    }
  }

  #watchRate(): void {
    const { rateLimit } = this.#world.faults;
    const now = this.#world.clock.plain.now();
    if (!this.#rate.count(now, rateLimit) || this.#isClientPaused) return;
    this.#isClientPaused = true;
    this.#events.trace('rate.exceeded');
    this.#notifyClient(MESSAGE_TYPE.PAUSE_PUBLICATION);
    this.#events.onRateExceeded();
    this.#startClientWhenSlower();
  }

  #startClientWhenSlower(): void {
    this.#later(1000, () => {
      if (!this.#isClientPaused) return;
      const { rateLimit } = this.#world.faults;
      if (this.#rate.isAbove(this.#world.clock.plain.now(), { ...rateLimit, windowMs: 1000 })) {
        this.#startClientWhenSlower();
        return;
      }
      this.#isClientPaused = false;
      this.#notifyClient(MESSAGE_TYPE.START_PUBLICATION);
    });
  }

  #notifyClient(type: Publication): void {
    const { notices } = this.#world.faults;
    if (this.#link === undefined) return;
    this.#judge('to-client', formatPublication(type, this.#world.clock.wallNow(), notices));
  }

  #notifyAgent(type: Publication): void {
    const { notices } = this.#world.faults;
    this.serviceToAgent(formatPublication(type, this.#world.clock.wallNow(), notices));
  }

  #flushHeldLater(direction: Direction): void {
    if (this.#isFlushDue[direction]) return;
    this.#isFlushDue[direction] = true;
    this.#later(REORDER_WAIT_MS, () => {
      this.#isFlushDue[direction] = false;
      for (const data of this.#faults.flushHeld(direction)) this.#deliver(direction, data);
    });
  }

  #countLost(direction: Direction): void {
    if (direction === 'to-client') this.#stats.lostToClient += 1;
    else this.#stats.lostToAgent += 1;
  }

  #later(delayMs: number, callback: () => void): void {
    const timer = this.#world.clock.plain.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
  }
}

/** Undefined when the bytes cannot be a message; the relay passes them on all the same. */
function tryDecode(data: Buffer): Message | undefined {
  try {
    return decodeMessage(data);
  } catch {
    return undefined;
  }
}
