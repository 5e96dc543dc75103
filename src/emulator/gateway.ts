/**
 * The message gateway: all sessions of the account, their tokens and stream URLs. StartSession and its siblings
 * come in from the API, data channels from channel-door.ts.
 */
import * as crypto from 'node:crypto';
import { DataKeys } from './api/kms.ts';
import type { StartAgentSession } from './agent-link.ts';
import { EmulatedSession } from './emulated-session.ts';
import type { SessionFacts } from './emulated-session.ts';
import type { Identity } from './identities.ts';
import type { EmulatedInstance } from './instance.ts';
import { presignChannelUrl } from './presigned-url.ts';
import { seededRandom } from './random.ts';
import { substitute } from './session-document.ts';
import type { SessionDocument } from './session-document.ts';
import { SessionTokens } from './session-tokens.ts';
import type { TokenVerdict } from './session-tokens.ts';
import type { World } from './world.ts';

export interface StartRequest {
  readonly instance: EmulatedInstance;
  /** As the client wrote it: part of the KMS encryption context. */
  readonly target: string;
  readonly region: string;
  readonly document: SessionDocument;
  readonly parameters: Readonly<Record<string, string>>;
  readonly owner: Identity;
  readonly reason: string | undefined;
}

/** Opens one data channel. Secret. */
export interface ChannelTicket {
  readonly sessionId: string;
  readonly tokenValue: string;
  /** Empty when the settings say that none is given. */
  readonly streamUrl: string;
}

/** Ended sessions that are remembered. */
const MAX_HISTORY = 2000;
/** Validity of presigned stream URLs. */
const PRESIGNED_SECONDS = 60;

export class Gateway {
  readonly dataKeys = new DataKeys();
  readonly #world: World;
  readonly #startAgentSession: StartAgentSession;
  readonly #channelOrigin: () => string;
  readonly #sessions = new Map<string, EmulatedSession>();
  readonly #tokens = new SessionTokens();
  #started = 0;

  /** `channelOrigin` gives 'ws://127.0.0.1:port', known once the emulator listens. */
  constructor(world: World, startAgentSession: StartAgentSession, channelOrigin: () => string) {
    this.#world = world;
    this.#startAgentSession = startAgentSession;
    this.#channelOrigin = channelOrigin;
    world.onFaultChange(() => {
      for (const session of this.#sessions.values()) session.rearm();
    });
    world.onInstanceChange((instance) => {
      if (instance.state === 'running' || instance.state === 'pending') return;
      for (const session of this.#sessions.values()) {
        if (session.facts.target === instance.instanceId) session.killAgent();
      }
    });
  }

  /** Newest first. */
  list(): EmulatedSession[] {
    return [...this.#sessions.values()].reverse();
  }

  find(sessionId: string): EmulatedSession | undefined {
    return this.#sessions.get(sessionId);
  }

  /** Starts the session and its agent. */
  start(request: StartRequest): Promise<ChannelTicket> {
    const world = this.#world;
    const { document, parameters, instance, owner } = request;
    const sessionId = `${owner.principalName}-0${crypto.randomBytes(8).toString('hex')}`;
    const facts: SessionFacts = {
      sessionId,
      target: request.target,
      region: request.region,
      documentName: document.name,
      owner: owner.arn,
      reason: request.reason,
      parameters,
    };
    const properties = Object.fromEntries(
      Object.entries(document.properties).map(([name, value]) => [name, substitute(value, parameters)]),
    );
    const session = new EmulatedSession(facts, {
      world,
      instance,
      request: {
        sessionId,
        instanceId: instance.instanceId,
        agentVersion: instance.agentVersion,
        sessionType: document.sessionType,
        properties,
        command: document.command === undefined ? undefined : substitute(document.command, parameters),
        separateOutputStream: document.separateOutputStream,
        // Port sessions are never encrypted.
        kmsKeyId: document.sessionType === 'Port' ? undefined : world.preferences.kmsKeyId,
      },
      startAgentSession: this.#startAgentSession,
      decryptDataKey: (ciphertext, context) =>
        new Promise((resolve) => {
          resolve(this.dataKeys.decrypt(ciphertext, context));
        }),
      random: seededRandom(world.faults.seed + this.#started),
      onEnded: (ended) => this.#tokens.revoke(ended.facts.sessionId),
    });
    this.#started += 1;
    this.#forgetOld();
    this.#sessions.set(sessionId, session);
    session.cells.push(randomCell());
    return this.#ticket(session, 'same', owner);
  }

  /** A new token for a living session. */
  resume(session: EmulatedSession, caller: Identity): Promise<ChannelTicket> {
    const { streamUrl } = this.#world.faults.resume;
    if (streamUrl === 'other') session.cells.push(randomCell());
    return this.#ticket(session, streamUrl, caller);
  }

  useToken(token: string, sessionId: string): TokenVerdict {
    return this.#tokens.use(token, sessionId, this.#world.clock.serviceNow(), this.#world.faults.open);
  }

  /** Every client's socket at once: TCP reset, or a close frame with `code`. */
  dropAllClients(code?: number, reason = ''): void {
    for (const session of this.#sessions.values()) {
      if (code === undefined) session.cutClient();
      else session.closeClient(code, reason);
    }
  }

  close(): void {
    for (const session of this.#sessions.values()) session.destroy();
  }

  async #ticket(
    session: EmulatedSession,
    kind: 'same' | 'other' | 'none',
    caller: Identity,
  ): Promise<ChannelTicket> {
    const { sessionId, region } = session.facts;
    const { clock, faults } = this.#world;
    const tokenValue = this.#tokens.issue(sessionId, clock.serviceNow());
    if (kind === 'none') return { sessionId, tokenValue, streamUrl: '' };
    const cell = session.cells.at(-1) ?? '';
    const url = `${this.#channelOrigin()}/v1/data-channel/${sessionId}?role=publish_subscribe&cell-number=${cell}`;
    const presigning = {
      identity: caller,
      region,
      wallNow: clock.wallNow(),
      expiresSeconds: PRESIGNED_SECONDS,
    };
    const streamUrl = faults.open.presignedUrl ? await presignChannelUrl(url, presigning) : url;
    return { sessionId, tokenValue, streamUrl };
  }

  #forgetOld(): void {
    if (this.#sessions.size < MAX_HISTORY) return;
    for (const [sessionId, session] of this.#sessions) {
      if (!session.isOver) continue;
      this.#sessions.delete(sessionId);
      if (this.#sessions.size < MAX_HISTORY) return;
    }
  }
}

/** Base64 that holds '+', '/' and '=', which clients must leave as they are. */
function randomCell(): string {
  for (;;) {
    const cell = crypto.randomBytes(40).toString('base64');
    if (cell.includes('+') && cell.includes('/')) return cell;
  }
}
