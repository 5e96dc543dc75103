/**
 * One try of `wait`: opens a session to the port, sees whether anything answers, and ends the session.
 *
 * A port that nobody listens on shows itself by silence only, for 60 s (protocol.md 12). So the agent is asked as soon
 * as the session is set up: it acknowledges a message only while it is connected to the port. That tells a closed port
 * within seconds, and is all there is to know of a port where the client has to speak first.
 */
import { ProxyError } from '../errors.ts';
import type { FindTargetDependencies } from '../find-target.ts';
import type { OpenSessionEvents, SessionRequest } from '../open-session.ts';
import { openSession } from '../open-session.ts';
import { portPurpose } from '../session-purpose.ts';
import type { Session, SessionOutcome } from '../session/session.ts';
import type { WaitRequest } from './wait-for-target.ts';

/** How long the agent may take to connect to the port. Milliseconds. */
const ACCEPT_MS = 3_000;
const MAX_BANNER_CHARACTERS = 255;

export interface Readiness {
  readonly instanceId: string;
  readonly region: string;
  readonly banner: string | undefined;
}

export type ProbeEvents = Pick<OpenSessionEvents, 'onStage' | 'onStarted' | 'onTerminated'> & {
  onFound(): void;
  onReady(): void;
};

export class ReadinessProbe {
  readonly #request: WaitRequest;
  readonly #dependencies: FindTargetDependencies;
  readonly #events: ProbeEvents;
  readonly #answered: Promise<string | undefined>;
  #resolve: (banner: string | undefined) => void = () => {};
  #reject: (error: ProxyError) => void = () => {};
  #session: Session | undefined;
  #isReady = false;
  #isAccepted = false;
  #acceptTimer: { cancel(): void } | undefined;
  #instanceId = '';
  #region = '';

  constructor(request: WaitRequest, dependencies: FindTargetDependencies, events: ProbeEvents) {
    this.#request = request;
    this.#dependencies = dependencies;
    this.#events = events;
    this.#answered = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // It may fail while nobody waits yet.
    this.#answered.catch(() => {});
  }

  /**
   * Rejects with what is in the way. The session has ended in any case. Call once. `queueLimitMs`: longest wait for a
   * turn, besides the time limit.
   */
  async run(timeLimitMs: number, queueLimitMs: number, signal: AbortSignal): Promise<Readiness> {
    const onAbort = (): void => this.#reject(new ProxyError('CANCELLED', 'cancelled'));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const session = await openSession(
        sessionRequest(this.#request, timeLimitMs, queueLimitMs),
        this.#dependencies,
        this.#sessionEvents(),
        signal,
      );
      this.#session = session;
      if (signal.aborted) onAbort();
      if (this.#isReady) this.#ask();
      const banner = await this.#answered;
      return { instanceId: this.#instanceId, region: this.#region, banner };
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#acceptTimer?.cancel();
      await this.#session?.terminate();
    }
  }

  #sessionEvents(): OpenSessionEvents {
    const events = this.#events;
    return {
      onStage: (stage) => events.onStage(stage),
      onStarted: (started) => events.onStarted?.(started),
      onTerminated: () => events.onTerminated?.(),
      onFound: (instanceId, region) => {
        this.#instanceId = instanceId;
        this.#region = region;
        events.onFound();
      },
      onReady: () => {
        events.onReady();
        this.#isReady = true;
        if (this.#session !== undefined) this.#ask();
      },
      onData: (data) => {
        this.#session?.consumed(data.length);
        this.#acceptTimer?.cancel();
        this.#resolve(this.#request.needsBanner ? firstLine(data) : undefined);
      },
      onDrained: () => this.#accepted(),
      onWritable: () => {},
      onNotice: (text) => this.#dependencies.log.info('notice', { text }),
      onEnd: (outcome) => this.#reject(this.#errorOf(outcome)),
    };
  }

  #ask(): void {
    const { port } = this.#request;
    this.#acceptTimer = this.#dependencies.clock.setTimer(ACCEPT_MS, () => {
      this.#reject(
        new ProxyError('PORT_SILENT', `nothing answers on port ${port} of ${this.#instanceId}`, {
          hint: `check that a server listens on port ${port} there`,
        }),
      );
    });
    this.#session?.probe();
  }

  #accepted(): void {
    if (this.#acceptTimer === undefined) return;
    this.#acceptTimer.cancel();
    this.#isAccepted = true;
    if (!this.#request.needsBanner) this.#resolve(undefined);
  }

  #errorOf(outcome: SessionOutcome): ProxyError {
    const where = `port ${this.#request.port} of ${this.#instanceId}`;
    if (outcome.kind !== 'failed') {
      return new ProxyError('SESSION_ENDED', `${where} was closed before anything was sent`);
    }
    if (outcome.error.code !== 'PORT_SILENT' || !this.#isAccepted) return outcome.error;
    return new ProxyError('PORT_SILENT', `${where} accepts connections and sends nothing`, {
      hint: 'if the client speaks first there, use --no-banner',
      cause: outcome.error,
    });
  }
}

function sessionRequest(request: WaitRequest, timeLimitMs: number, queueLimitMs: number): SessionRequest {
  const { startsPerSecond } = request;
  return {
    ...request,
    purpose: portPurpose(request),
    connectTimeoutMs: timeLimitMs,
    timeLimitName: undefined,
    messagesPerSecond: undefined,
    // What others found a minute ago may be what is being replaced.
    sharing: { startsPerSecond, queueTimeoutMs: queueLimitMs, sharesLookups: false },
  };
}

/** What a terminal can show of the first line. */
function firstLine(data: Buffer): string {
  const [line = ''] = data
    .toString('utf8')
    .slice(0, MAX_BANNER_CHARACTERS)
    .split(/[\r\n]/, 1);
  return line.replace(/\p{Cc}/gu, '?');
}
