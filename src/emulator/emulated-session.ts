/**
 * One Session Manager session as the service sees it: who started it on what, the agent behind it, the client's
 * channel in front of it, and the clocks that end either. Messages go through relay.ts.
 */
import type { TimerHandle } from '../clock.ts';
import type { LogFields } from '../log.ts';
import { MESSAGE_TYPE } from '../protocol/message.ts';
import type {
  AgentSession,
  AgentSessionRequest,
  AgentStats,
  AgentUplink,
  StartAgentSession,
} from './agent-link.ts';
import type { ClientLink } from './client-link.ts';
import { resolveDial } from './instance.ts';
import { hostKeyFiles } from './node-files.ts';
import type { EmulatedInstance } from './instance.ts';
import { LifetimeSet } from './lifetime-set.ts';
import { Relay } from './relay.ts';
import type { RelayStats } from './relay.ts';
import { formatChannelClosed } from './service-messages.ts';
import type { World } from './world.ts';

export type SessionStatus =
  'Connecting' | 'Connected' | 'Disconnected' | 'Terminating' | 'Terminated' | 'Failed';

export interface SessionFacts {
  readonly sessionId: string;
  readonly target: string;
  readonly region: string;
  readonly documentName: string;
  readonly owner: string;
  readonly reason: string | undefined;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface SessionParts {
  readonly world: World;
  readonly instance: EmulatedInstance;
  readonly request: AgentSessionRequest;
  readonly startAgentSession: StartAgentSession;
  readonly decryptDataKey: (ciphertext: Buffer, context: Readonly<Record<string, string>>) => Promise<Buffer>;
  readonly random: () => number;
  /** Called once. */
  readonly onEnded: (session: EmulatedSession) => void;
}

export interface TraceEntry {
  /** Service time since the session's start, milliseconds. */
  readonly atMs: number;
  readonly event: string;
  readonly fields: LogFields;
}

const MAX_TRACE = 500;
/** An agent that does not report the end of its task within this time is given up. */
const END_WAIT_MS = 3000;
/** How long a client may keep its channel after channel_closed. */
const CLOSED_GRACE_MS = 2000;

export class EmulatedSession {
  readonly facts: SessionFacts;
  readonly #parts: SessionParts;
  readonly #relay: Relay;
  readonly #startedAt: number;
  readonly startWall: number;
  #endWall: number | undefined;
  #status: SessionStatus = 'Connecting';
  #output = '';
  #agent: AgentSession | undefined;
  #finalStats: AgentStats | undefined;
  #link: ClientLink | undefined;
  readonly #lifetimes: LifetimeSet;
  readonly #timers = new Set<TimerHandle>();
  readonly #trace: TraceEntry[] = [];
  #idleSince: number;
  #isOver = false;
  /** cell-number values handed out in StreamUrls; the last one is current. */
  readonly cells: string[] = [];

  constructor(facts: SessionFacts, parts: SessionParts) {
    this.facts = facts;
    this.#parts = parts;
    const { clock } = parts.world;
    this.#lifetimes = new LifetimeSet(clock);
    this.#startedAt = clock.serviceNow();
    this.#idleSince = this.#startedAt;
    this.startWall = clock.wallNow();
    this.#relay = new Relay(parts.world, parts.random, {
      onActivity: () => {
        this.#idleSince = clock.serviceNow();
      },
      onRateExceeded: () => {
        const { closeAfterMs } = parts.world.faults.rateLimit;
        if (closeAfterMs > 0) this.#later(closeAfterMs, () => this.end(''));
      },
      trace: (event, fields) => this.#note(event, fields),
    });
    this.#later(parts.world.faults.agent.startDelayMs, () => this.#startAgent());
    this.rearm();
  }

  get status(): SessionStatus {
    return this.#status;
  }

  /** The session has ended, whatever the client still does. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Milliseconds since the epoch; undefined while it lives. */
  get endWall(): number | undefined {
    return this.#endWall;
  }

  /** Output of its channel_closed. */
  get output(): string {
    return this.#output;
  }

  get agentStats(): AgentStats | undefined {
    return this.#agent?.stats() ?? this.#finalStats;
  }

  get relayStats(): RelayStats {
    return this.#relay.stats;
  }

  get trace(): readonly TraceEntry[] {
    return this.#trace;
  }

  get hasClient(): boolean {
    return this.#link !== undefined;
  }

  // ---- the client's channel ----------------------------------------------------------------------------------

  /** A client with a good token. An earlier channel of the session is closed. */
  attachClient(link: ClientLink, isMuted: boolean): void {
    const replaced = this.#link;
    this.#link = link;
    if (this.#status !== 'Terminating') this.#status = 'Connected';
    this.#note('client.attached', { isMuted });
    this.#restart('channel', 'cut');
    this.#relay.attachClient(link, isMuted);
    replaced?.close(1000, 'Bye');
  }

  fromClient(data: Buffer): void {
    if (!this.#isOver) this.#relay.fromClient(data);
  }

  clientGone(link: ClientLink, code: number): void {
    if (!this.#relay.detachClient(link)) return;
    this.#link = undefined;
    this.#note('client.gone', { code });
    if (this.#status === 'Connected') this.#status = 'Disconnected';
    if (this.#isOver) {
      this.#clearTimers();
      this.#relay.close();
    }
  }

  clientDrained(): void {
    this.#relay.clientDrained();
  }

  cutClient(): void {
    this.#link?.cut();
  }

  closeClient(code: number, reason: string): void {
    this.#link?.close(code, reason);
  }

  halfOpenClient(): void {
    this.#link?.halfOpen();
  }

  /** The service's own pause or start of one side, unasked for. */
  notify(side: 'client' | 'agent', what: 'pause' | 'start'): void {
    const { PAUSE_PUBLICATION, START_PUBLICATION } = MESSAGE_TYPE;
    this.#relay.notify(side, what === 'pause' ? PAUSE_PUBLICATION : START_PUBLICATION);
  }

  // ---- the agent ---------------------------------------------------------------------------------------------

  /** The agent's own channel drops, and returns after `forMs`. */
  dropAgent(forMs: number): void {
    const agent = this.#agent;
    if (agent === undefined || this.#isOver) return;
    this.#note('agent.down', { forMs });
    this.#relay.setAgentUp(false);
    agent.channelDown();
    this.#later(forMs, () => {
      if (this.#agent !== agent) return;
      this.#note('agent.up');
      this.#relay.setAgentUp(true);
      agent.channelUp();
    });
  }

  /** The session worker dies as with kill -9; nobody tells the client. */
  killAgent(): void {
    if (this.#agent === undefined) return;
    this.#note('agent.killed');
    this.#releaseAgent()?.kill();
  }

  // ---- the end -----------------------------------------------------------------------------------------------

  /** Ends the session from the service's side; the agent is asked to finish. `output` goes into channel_closed. */
  end(output: string): void {
    if (this.#isOver || this.#status === 'Terminating') return;
    this.#status = 'Terminating';
    this.#note('session.terminating');
    if (output !== '') this.#output = output;
    if (this.#agent === undefined) {
      this.#finish('Terminated', '');
      return;
    }
    this.#later(END_WAIT_MS, () => this.#finish('Terminated', ''));
    this.#relay.serviceToAgent(this.#channelClosed(''));
  }

  /** The emulator is closing: nothing more is sent. */
  destroy(): void {
    this.#link?.cut();
    this.#over('Terminated');
    this.#clearTimers();
    this.#relay.close();
  }

  /** Lifetimes have changed in the settings. */
  rearm(): void {
    if (this.#isOver) return;
    const { lifetimes, link, agent } = this.#parts.world.faults;
    const set = this.#lifetimes;
    set.arm('session', lifetimes.sessionMs, () => this.end(lifetimes.sessionOutput), this.#startedAt);
    set.arm('idle', lifetimes.idleMs, () => this.#checkIdle(), this.#idleSince);
    set.arm('channel', lifetimes.channelMs, () => this.#link?.close(1000, 'Bye'));
    set.arm('cut', link.cutEveryMs, () => this.cutClient());
    set.arm('agent-channel', lifetimes.channelMs, () => this.#dropAgentAgain('agent-channel'));
    set.arm('agent-drop', agent.dropEveryMs, () => this.#dropAgentAgain('agent-drop'));
  }

  // ---- inside ------------------------------------------------------------------------------------------------

  #startAgent(): void {
    const { instance, world, request } = this.#parts;
    if (this.#isOver || instance.state !== 'running' || !instance.agentOnline) return;
    const uplink: AgentUplink = {
      send: (message) => {
        if (!this.#isOver) this.#relay.fromAgent(message);
      },
      complete: (status, output) => {
        this.#note('agent.complete', { status });
        this.#finish(status === 'Failed' ? 'Failed' : 'Terminated', output);
      },
      trace: (event, fields) => this.#note(`agent.${event}`, fields),
    };
    const environment = {
      behaviour: instance.behaviour,
      dialAddress: (host: string | undefined, port: number) =>
        resolveDial(instance, world.instances.values(), host, port),
      decryptDataKey: this.#parts.decryptDataKey,
      files: hostKeyFiles(instance.hostKeys),
    };
    this.#note('agent.started');
    this.#relay.setAgentUp(true);
    const agent = this.#parts.startAgentSession(request, environment, uplink);
    // It may have failed, and said so, already.
    if (this.#isOver) {
      agent.kill();
      return;
    }
    this.#agent = agent;
    this.#relay.attachAgent(agent);
    this.#restart('agent-channel', 'agent-drop');
  }

  #dropAgentAgain(name: string): void {
    this.dropAgent(this.#parts.world.faults.agent.reconnectMs);
    this.#restart(name);
  }

  #checkIdle(): void {
    const { clock, faults } = this.#parts.world;
    const { idleMs, idleOutput } = faults.lifetimes;
    if (this.#idleSince + idleMs - clock.serviceNow() > 1) {
      this.#lifetimes.arm('idle', idleMs, () => this.#checkIdle(), this.#idleSince);
      return;
    }
    this.#note('session.idle');
    this.end(idleOutput);
  }

  /** Starts the clocks of these names anew, from now. */
  #restart(...names: readonly string[]): void {
    for (const name of names) this.#lifetimes.reset(name);
    this.rearm();
  }

  #finish(status: 'Terminated' | 'Failed', output: string): void {
    if (this.#isOver) return;
    if (this.#output === '') this.#output = output;
    // Through the relay, after everything the agent has sent.
    this.#relay.serviceToClient(this.#channelClosed(this.#output));
    this.#over(status);
    this.#clearTimers();
    const link = this.#link;
    if (link === undefined) this.#relay.close();
    else this.#later(CLOSED_GRACE_MS, () => link.close(1000, 'Bye'));
  }

  #over(status: 'Terminated' | 'Failed'): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#status = status;
    this.#endWall = this.#parts.world.clock.wallNow();
    this.#note('session.over', { status });
    this.#releaseAgent()?.kill();
    this.#parts.onEnded(this);
  }

  #releaseAgent(): AgentSession | undefined {
    const agent = this.#agent;
    this.#finalStats = agent?.stats() ?? this.#finalStats;
    this.#agent = undefined;
    this.#relay.detachAgent();
    return agent;
  }

  #channelClosed(output: string): Buffer {
    const { sessionId, target } = this.facts;
    const { clock, faults } = this.#parts.world;
    const fields = { sessionId, destinationId: target, output, createdDate: clock.wallNow() };
    return formatChannelClosed(fields, faults.notices);
  }

  #note(event: string, fields: LogFields = {}): void {
    const atMs = this.#parts.world.clock.serviceNow() - this.#startedAt;
    if (this.#trace.length >= MAX_TRACE) this.#trace.splice(0, MAX_TRACE / 2);
    this.#trace.push({ atMs: Math.round(atMs * 10) / 10, event, fields });
    this.#parts.world.log.debug(event, { sessionId: this.facts.sessionId, ...fields });
  }

  #later(delayMs: number, callback: () => void): void {
    const timer = this.#parts.world.clock.plain.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
  }

  #clearTimers(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#lifetimes.clear();
  }
}
