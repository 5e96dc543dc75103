/**
 * Everything that can be asked of a running emulator and changed in it, in process. The control interface
 * (control-server.ts) offers the same over HTTP; docs/emulator.md describes both.
 */
import { ProxyError } from '../errors.ts';
import type { AgentBehaviour, AgentStats } from './agent-link.ts';
import type { CallCount, ChannelOpen } from './call-log.ts';
import type { EmulatedSession, SessionStatus, TraceEntry } from './emulated-session.ts';
import type { FaultChange } from './fault-settings.ts';
import type { Faults } from './faults.ts';
import type { Gateway } from './gateway.ts';
import type { Identity, IdentitySpec } from './identities.ts';
import { readBehaviour } from './instance-settings.ts';
import type { InstanceSpec } from './instance-settings.ts';
import type { EmulatedInstance } from './instance.ts';
import type { RelayStats } from './relay.ts';
import type { SessionDocument } from './session-document.ts';
import type { SsoSettings } from './sso-directory.ts';
import type { Vpc, World } from './world.ts';

export interface SessionState {
  readonly sessionId: string;
  readonly target: string;
  readonly region: string;
  readonly status: SessionStatus;
  readonly documentName: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly owner: string;
  readonly reason: string | undefined;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number | undefined;
  readonly hasClient: boolean;
  /** Output of channel_closed. */
  readonly output: string;
  readonly agent: AgentStats | undefined;
  readonly relay: RelayStats;
  readonly trace: readonly TraceEntry[];
}

export interface EmulatorState {
  readonly endpoint: string;
  readonly region: string;
  /** `now`: the service's wall clock, milliseconds since the epoch. */
  readonly clock: { readonly offsetMs: number; readonly speed: number; readonly now: number };
  /** TCP connections of clients. */
  readonly openSockets: number;
  readonly instances: readonly EmulatedInstance[];
  /** Newest first. */
  readonly sessions: readonly SessionState[];
  /** API calls by 'service:Operation'. */
  readonly calls: Readonly<Record<string, Readonly<CallCount>>>;
  /** Data-channel opens, oldest first. */
  readonly opens: readonly Readonly<ChannelOpen>[];
  /** Without secrets. */
  readonly identities: readonly {
    readonly accessKeyId: string;
    readonly arn: string;
    readonly denied: readonly string[];
  }[];
  readonly faults: Readonly<Faults>;
  readonly kmsKeyId: string | undefined;
  /** Keys that EC2 Instance Connect has put on nodes, and that are still valid. */
  readonly pushedKeys: readonly {
    readonly instanceId: string;
    readonly user: string;
    readonly type: string;
  }[];
}

export interface ControlsParts {
  readonly world: World;
  readonly gateway: Gateway;
  readonly endpoint: string;
  readonly openSockets: () => number;
  /** Gives an instance an SSH server of its own. */
  readonly addSshServer: (instance: EmulatedInstance) => Promise<void>;
}

export class Controls {
  readonly #parts: ControlsParts;
  readonly #world: World;
  readonly #gateway: Gateway;

  constructor(parts: ControlsParts) {
    this.#parts = parts;
    this.#world = parts.world;
    this.#gateway = parts.gateway;
  }

  state(): EmulatorState {
    const { clock, calls, faults, identities, instances, preferences, pushedKeys, region } = this.#world;
    return {
      endpoint: this.#parts.endpoint,
      region,
      clock: { ...clock.settings, now: clock.wallNow() },
      openSockets: this.#parts.openSockets(),
      instances: [...instances.values()],
      sessions: this.#gateway.list().map(sessionState),
      calls: calls.counts(),
      opens: calls.opens(),
      identities: identities.list().map(({ accessKeyId, arn, denied }) => ({ accessKeyId, arn, denied })),
      faults,
      kmsKeyId: preferences.kmsKeyId,
      pushedKeys: pushedKeys.list().map(({ instanceId, user, type }) => ({ instanceId, user, type })),
    };
  }

  // ---- settings ----------------------------------------------------------------------------------------------

  get faults(): Readonly<Faults> {
    return this.#world.faults;
  }

  /** Merges into the settings in force. Throws USAGE, and then nothing has changed. */
  changeFaults(change: FaultChange): Readonly<Faults> {
    return this.#world.changeFaults(change);
  }

  /** A healthy service again, plus `change`. Throws USAGE. */
  resetFaults(change: FaultChange = {}): Readonly<Faults> {
    return this.#world.resetFaults(change);
  }

  /** How agents behave: of one instance, or of all there are now. Throws USAGE. */
  changeBehaviour(change: Partial<AgentBehaviour>, instanceId?: string): void {
    const checked = readBehaviour(change);
    const instances =
      instanceId === undefined ? this.#world.instances.values() : [this.#world.instance(instanceId)];
    for (const instance of instances) Object.assign(instance.behaviour, checked);
  }

  /** Wall clock offset in ms, and how many times faster lifetimes run. Throws USAGE. */
  setClock(settings: { readonly offsetMs?: number; readonly speed?: number }): void {
    const { speed } = settings;
    if (speed !== undefined && !(speed > 0 && Number.isFinite(speed))) {
      throw new ProxyError('USAGE', 'emulator setting clock.speed must be above 0');
    }
    this.#world.clock.set(settings);
  }

  /** Key that encrypts shell and command sessions; undefined: none. */
  setKmsKey(kmsKeyId: string | undefined): void {
    this.#world.preferences.kmsKeyId = kmsKeyId;
  }

  // ---- instances ---------------------------------------------------------------------------------------------

  /** A new instance; with an SSH server of its own unless `dial` says what is behind its ports. Throws USAGE. */
  async addInstance(spec: InstanceSpec): Promise<EmulatedInstance> {
    const instance = this.#world.addInstance(spec);
    if (spec.dial === undefined) await this.#parts.addSshServer(instance);
    return instance;
  }

  /** Throws USAGE. Sessions lose their agent when the instance does not run any more. */
  changeInstance(instanceId: string, change: InstanceSpec): EmulatedInstance {
    return this.#world.changeInstance(instanceId, change);
  }

  removeInstance(instanceId: string): void {
    this.#world.removeInstance(instanceId);
  }

  addVpc(vpc: Vpc): void {
    this.#world.addVpc(vpc);
  }

  addDocument(document: SessionDocument): void {
    this.#world.documents.set(document.name, document);
  }

  // ---- access keys -------------------------------------------------------------------------------------------

  addIdentity(spec: IdentitySpec): Identity {
    return this.#world.identities.addUser(spec);
  }

  /** `expiresAt`: ms since the epoch in the service's clock. Throws USAGE. */
  changeIdentity(
    accessKeyId: string,
    change: { readonly denied?: readonly string[]; readonly expiresAt?: number },
  ): Identity {
    return this.#world.identities.update(accessKeyId, change);
  }

  removeIdentity(accessKeyId: string): void {
    this.#world.identities.remove(accessKeyId);
  }

  // ---- roles and SSO -----------------------------------------------------------------------------------------

  /** Makes an instance profile with a role of the same name, or replaces the policies (ARNs) of its role. */
  putNodeRole(name: string, policies: readonly string[]): void {
    this.#world.nodeRoles.put(name, policies);
  }

  /** ARNs of the policies attached to a role; undefined: no such role. */
  nodeRolePolicies(name: string): readonly string[] | undefined {
    const role = this.#world.nodeRoles.find(name);
    return role === undefined ? undefined : [...role.policies];
  }

  /** What the portal offers, and what the person there does. */
  changeSso(change: Partial<SsoSettings>): SsoSettings {
    const { sso } = this.#world;
    sso.settings = { ...sso.settings, ...change };
    return sso.settings;
  }

  /** Ends every SSO login at the service; the tokens on disk do not know. */
  revokeSsoTokens(): void {
    this.#world.sso.revokeAll();
  }

  // ---- sessions ----------------------------------------------------------------------------------------------

  sessions(): SessionState[] {
    return this.#gateway.list().map(sessionState);
  }

  /** TCP reset of the session's client. Throws USAGE for a session that is not known, as all below. */
  cutSession(sessionId: string): void {
    this.#session(sessionId).cutClient();
  }

  closeSession(sessionId: string, code: number, reason = ''): void {
    this.#session(sessionId).closeClient(code, reason);
  }

  /** The socket stays, nothing passes any more. */
  halfOpenSession(sessionId: string): void {
    this.#session(sessionId).halfOpenClient();
  }

  /** Sends pause_publication or start_publication to one side, as the service does. */
  notifySession(sessionId: string, side: 'client' | 'agent', what: 'pause' | 'start'): void {
    this.#session(sessionId).notify(side, what);
  }

  /** As TerminateSession; `output` is put into channel_closed. */
  terminateSession(sessionId: string, output = ''): void {
    this.#session(sessionId).end(output);
  }

  /** The session worker dies; nobody is told. */
  killAgent(sessionId: string): void {
    this.#session(sessionId).killAgent();
  }

  /** The agent's own channel drops for `forMs` (default: the agent's usual time to reconnect). */
  dropAgent(sessionId: string, forMs = this.#world.faults.agent.reconnectMs): void {
    this.#session(sessionId).dropAgent(forMs);
  }

  /** Every client at once: TCP reset, or a close frame with `code`. */
  dropAllClients(code?: number, reason = ''): void {
    this.#gateway.dropAllClients(code, reason);
  }

  #session(sessionId: string): EmulatedSession {
    const session = this.#gateway.find(sessionId);
    if (session === undefined) throw new ProxyError('USAGE', `the emulator has no session ${sessionId}`);
    return session;
  }
}

function sessionState(session: EmulatedSession): SessionState {
  const { facts } = session;
  return {
    ...facts,
    status: session.status,
    startedAt: session.startWall,
    endedAt: session.endWall,
    hasClient: session.hasClient,
    output: session.output,
    agent: session.agentStats,
    relay: session.relayStats,
    trace: [...session.trace],
  };
}
