/**
 * Opens a session to a port of the node as `connect` does, times each step, and ends it. Where an SSH server answers,
 * a short sample of throughput is taken: SSH lets either side send messages to be ignored (RFC 4253, 11.2), also before
 * anybody has logged in.
 */
import { hostname } from 'node:os';
import { systemClock } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import type { TargetRequest } from '../find-target.ts';
import type { Log } from '../log.ts';
import { openSession } from '../open-session.ts';
import type { OpenSessionEvents } from '../open-session.ts';
import { SAFE_MESSAGES_PER_SECOND } from '../protocol/limits.ts';
import { portPurpose } from '../session-purpose.ts';
import type { DocumentParameters } from '../session-purpose.ts';
import type { Session, SessionOutcome } from '../session/session.ts';
import { VERSION } from '../version.ts';
import type { FoundNode } from './target-state.ts';

export interface TrialRequest {
  /** As the user gave it. */
  readonly target: string;
  readonly port: number;
  readonly document: string | undefined;
  readonly parameters: DocumentParameters;
  readonly endpointUrl: string | undefined;
  readonly startsPerSecond: number;
}

/** Times in milliseconds from the start; undefined: it did not come so far. */
export interface Trial {
  readonly sessionId: string | undefined;
  readonly startedMs: number | undefined;
  readonly readyMs: number | undefined;
  readonly bannerMs: number | undefined;
  /** First line of the far end. */
  readonly banner: string | undefined;
  /** Something listens on the port. */
  readonly isAccepted: boolean;
  readonly roundTripMs: number | undefined;
  /** Of the upload sample. */
  readonly bytesPerSecond: number | undefined;
  /** What ended it before its time. */
  readonly failure: ProxyError | undefined;
}

/** As long as a person likes to wait; `connect` itself has 30 s. Milliseconds. */
const OPEN_LIMIT_MS = 12_000;
/** How long the agent may take to connect to the port, and a server to say something then, as in `wait`. Milliseconds. */
const ACCEPT_LIMIT_MS = 3_000;
const SPEAK_LIMIT_MS = 4_000;
const SAMPLE_LIMIT_MS = 4_000;
export const SAMPLE_BYTES = 128 * 1024;
/** Below the 35,000 bytes that every SSH server takes (RFC 4253, 6.1). */
const PACKET_BYTES = 32 * 1024;
const MSG_IGNORE = 2;
const MAX_BANNER_CHARACTERS = 255;

export async function trySession(
  request: TrialRequest,
  { context, instance }: FoundNode,
  { env, log }: { readonly env: NodeJS.ProcessEnv; readonly log: Log },
  signal: AbortSignal,
): Promise<Trial> {
  const trial = new SessionTrial();
  try {
    const { target, port, document, parameters, startsPerSecond } = request;
    const session = await openSession(
      {
        ...targetRequest(instance.instanceId, request.endpointUrl),
        purpose: portPurpose({ port, document, parameters }),
        connectTimeoutMs: OPEN_LIMIT_MS,
        timeLimitName: undefined,
        messagesPerSecond: SAFE_MESSAGES_PER_SECOND,
        reason: `ssm-proxy/${VERSION} ${hostname()} check ${target}`,
        sharing: { startsPerSecond, queueTimeoutMs: OPEN_LIMIT_MS, sharesLookups: false },
      },
      { env, clock: systemClock, log, contexts: [context] },
      trial.events,
      signal,
    );
    await trial.run(session);
  } catch (thrown) {
    trial.fail(thrown);
  }
  return trial.result;
}

function targetRequest(instanceId: string, endpointUrl: string | undefined): TargetRequest {
  return {
    target: instanceId,
    regions: undefined,
    profile: undefined,
    role: undefined,
    endpointUrl,
    ssmmessagesEndpoint: undefined,
    vpc: undefined,
    tags: {},
    account: undefined,
  };
}

class SessionTrial {
  readonly #startedAt = performance.now();
  #result: Trial = {
    sessionId: undefined,
    startedMs: undefined,
    readyMs: undefined,
    bannerMs: undefined,
    banner: undefined,
    isAccepted: false,
    roundTripMs: undefined,
    bytesPerSecond: undefined,
    failure: undefined,
  };
  #session: Session | undefined;
  #unread = 0;
  #onReady: () => void = () => {};
  #onBanner: () => void = () => {};
  #onDrained: () => void = () => {};
  #onWritable: () => void = () => {};
  #onOver: () => void = () => {};
  readonly #ready = new Promise<void>((resolve) => (this.#onReady = resolve));
  readonly #banner = new Promise<void>((resolve) => (this.#onBanner = resolve));
  readonly #over = new Promise<void>((resolve) => (this.#onOver = resolve));

  get result(): Trial {
    return this.#result;
  }

  fail(thrown: unknown): void {
    const failure =
      thrown instanceof ProxyError ? thrown : new ProxyError('INTERNAL', String(thrown), { cause: thrown });
    this.#note({ failure: this.#result.failure ?? failure });
  }

  readonly events: OpenSessionEvents = {
    onStage: () => {},
    onStarted: ({ sessionId }) => this.#note({ sessionId, startedMs: this.#elapsedMs() }),
    onReady: () => {
      this.#note({ readyMs: this.#elapsedMs() });
      this.#onReady();
    },
    onData: (data) => {
      if (this.#session === undefined) this.#unread += data.length;
      else this.#session.consumed(data.length);
      if (this.#result.bannerMs !== undefined) return;
      this.#note({ bannerMs: this.#elapsedMs(), banner: firstLine(data) });
      this.#onBanner();
    },
    onWritable: () => this.#onWritable(),
    onDrained: () => this.#onDrained(),
    onNotice: () => {},
    onEnd: (outcome) => {
      this.#noteEnd(outcome);
      this.#onOver();
    },
  };

  /** The session has ended when this resolves. */
  async run(session: Session): Promise<void> {
    this.#session = session;
    session.consumed(this.#unread);
    try {
      await Promise.race([this.#ready, this.#over]);
      await this.#knock(session);
      const { banner } = this.#result;
      if (banner?.startsWith('SSH-2.0-') === true) await this.#sample(session);
    } finally {
      await session.terminate();
    }
  }

  /**
   * Whether anything listens, and what it says. A port that nobody listens on shows itself by silence only; so the
   * agent is asked, which answers once it is connected to the port.
   */
  async #knock(session: Session): Promise<void> {
    const accepted = this.#drained(ACCEPT_LIMIT_MS);
    session.probe();
    const isAccepted = await Promise.race([accepted, this.#banner.then(() => true)]);
    this.#note({ isAccepted });
    if (isAccepted) await this.#within(SPEAK_LIMIT_MS, (done) => void this.#banner.then(done));
  }

  /** What does not come in time is left out: it is no failure to connect. */
  async #sample(session: Session): Promise<void> {
    const startedAt = performance.now();
    session.write(Buffer.from(`SSH-2.0-ssmproxy_${VERSION}\r\n`));
    if (!(await this.#drained(SAMPLE_LIMIT_MS))) return;
    const roundTripMs = performance.now() - startedAt;
    this.#note({ roundTripMs });
    const uploadAt = performance.now();
    for (let sent = 0; sent < SAMPLE_BYTES; sent += PACKET_BYTES) {
      const isFull = !session.write(ignoredPacket());
      if (isFull && !(await this.#writable(SAMPLE_LIMIT_MS))) return;
    }
    if (!(await this.#drained(SAMPLE_LIMIT_MS))) return;
    // The last acknowledgement took half a round trip each way.
    const seconds = Math.max(performance.now() - uploadAt - roundTripMs, 1) / 1000;
    this.#note({ bytesPerSecond: SAMPLE_BYTES / seconds });
  }

  #drained(limitMs: number): Promise<boolean> {
    return this.#within(limitMs, (done) => (this.#onDrained = done));
  }

  #writable(limitMs: number): Promise<boolean> {
    return this.#within(limitMs, (done) => (this.#onWritable = done));
  }

  /** False: the time is up, or the session over. */
  #within(limitMs: number, register: (done: () => void) => void): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (isDone: boolean): void => {
        clearTimeout(timer);
        resolve(isDone);
      };
      const timer = setTimeout(() => settle(false), limitMs);
      register(() => settle(true));
      void this.#over.then(() => settle(false));
    });
  }

  #noteEnd(outcome: SessionOutcome): void {
    // After the banner nothing that ends it matters, and `terminated` is ourselves.
    if (this.#result.bannerMs !== undefined || outcome.kind === 'terminated') return;
    if (outcome.kind === 'failed') this.fail(outcome.error);
    else this.fail(new ProxyError('SESSION_ENDED', 'the port was closed before anything was sent'));
  }

  #elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  #note(change: Partial<Trial>): void {
    this.#result = { ...this.#result, ...change };
  }
}

/** A whole SSH packet with SSH_MSG_IGNORE, unencrypted as before the key exchange. */
function ignoredPacket(): Buffer {
  const packet = Buffer.alloc(PACKET_BYTES);
  const paddingBytes = 8;
  packet.writeUInt32BE(PACKET_BYTES - 4, 0);
  packet.writeUInt8(paddingBytes, 4);
  packet.writeUInt8(MSG_IGNORE, 5);
  packet.writeUInt32BE(PACKET_BYTES - 4 - 1 - 1 - 4 - paddingBytes, 6);
  return packet;
}

/** What a terminal can show of the first line. */
function firstLine(data: Buffer): string {
  const [line = ''] = data
    .toString('utf8')
    .slice(0, MAX_BANNER_CHARACTERS)
    .split(/[\r\n]/, 1);
  return line.replace(/\p{Cc}/gu, '?');
}
