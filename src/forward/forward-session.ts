/**
 * A session that carries connections to one port: opened like any other (open-session.ts), multiplexed where the
 * agent can, else one connection after the other.
 */
import type { Clock } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import { openSession } from '../open-session.ts';
import type { OpenSessionDependencies, SessionRequest, StartedSession } from '../open-session.ts';
import type { SessionFacts } from '../protocol/handshake.ts';
import type { Session, SessionOutcome } from '../session/session.ts';
import type { Carrier } from './carrier.ts';
import { createCarrier } from './create-carrier.ts';
import type { ForwardStream } from './forward-stream.ts';

/** Bytes that wait in the data channel: little, so that a small write does not wait behind an upload. */
const PENDING_LIMIT_BYTES = 16 * 1024;

export interface ForwardSessionEvents {
  /** A few words for a status line. */
  onStage?(stage: string): void;
  onStarted?(started: StartedSession): void;
  /** The service has nothing left of the session. May come twice. */
  onTerminated?(): void;
  onNotice?(text: string): void;
  onLink?(state: 'lost' | 'restored'): void;
  /** Of a session that was opened; its streams have failed by then. */
  onEnd(outcome: SessionOutcome): void;
}

export interface ForwardSessionStats {
  /** Bytes of the data channel, frames included. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** Connections now. */
  readonly streams: number;
  readonly roundTripMs: number;
  readonly resumes: number;
}

/** Rejects with a ProxyError while there is no session. Aborting `signal` acts until this resolves. */
export async function openForwardSession(
  request: SessionRequest,
  dependencies: OpenSessionDependencies,
  events: ForwardSessionEvents,
  signal: AbortSignal,
): Promise<ForwardSession> {
  const opened = new Opening(request, dependencies.clock, events);
  const session = await openSession(
    { ...request, pendingLimitBytes: PENDING_LIMIT_BYTES },
    dependencies,
    {
      onStage: (stage) => events.onStage?.(stage),
      onStarted: (started) => {
        opened.started = started;
        events.onStarted?.(started);
      },
      onTerminated: () => events.onTerminated?.(),
      onNotice: (text) => events.onNotice?.(text),
      onReady: (facts) => opened.ready(facts),
      onData: (data) => opened.carrier?.onData(data),
      onWritable: () => opened.carrier?.onWritable(),
      onDrained: () => opened.carrier?.onDrained(),
      onFlag: (flag) => opened.carrier?.onFlag(flag),
      onLink: (state) => {
        opened.carrier?.onLink(state);
        events.onLink?.(state);
      },
      onEnd: (outcome) => opened.end(outcome),
    },
    signal,
  );
  opened.session = session;
  const onAbort = (): void => void session.terminate();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await opened.done;
  } catch (error) {
    if (signal.aborted) throw new ProxyError('CANCELLED', 'cancelled', { cause: error });
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** From the data channel's opening to the end of the handshake, and the events of all that follows. */
class Opening {
  readonly done: Promise<ForwardSession>;
  session: Session | undefined;
  started: StartedSession | undefined;
  carrier: Carrier | undefined;
  readonly #request: SessionRequest;
  readonly #clock: Clock;
  readonly #events: ForwardSessionEvents;
  #opened: ForwardSession | undefined;
  #resolve: (session: ForwardSession) => void = () => {};
  #reject: (error: ProxyError) => void = () => {};

  constructor(request: SessionRequest, clock: Clock, events: ForwardSessionEvents) {
    this.#request = request;
    this.#clock = clock;
    this.#events = events;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // The outcome may be known before anyone waits for it.
    this.done.catch(() => {});
  }

  ready(facts: SessionFacts): void {
    const { session, started } = this;
    if (session === undefined || started === undefined) return;
    const farEnd = `${this.#request.purpose.farEnd} of ${started.instanceId}`;
    this.carrier = createCarrier(facts, { session, clock: this.#clock, farEnd });
    this.#opened = new ForwardSession(session, this.carrier, started);
    this.#resolve(this.#opened);
  }

  end(outcome: SessionOutcome): void {
    const error = endError(outcome, this.started?.sessionId ?? '');
    this.carrier?.end(error);
    if (this.#opened === undefined) this.#reject(error);
    else this.#events.onEnd(outcome);
  }
}

export class ForwardSession {
  readonly sessionId: string;
  readonly instanceId: string;
  readonly region: string;
  readonly #session: Session;
  readonly #carrier: Carrier;

  constructor(session: Session, carrier: Carrier, started: StartedSession) {
    this.sessionId = started.sessionId;
    this.instanceId = started.instanceId;
    this.region = started.region;
    this.#session = session;
    this.#carrier = carrier;
  }

  /** Many connections at once. */
  get isMultiplexed(): boolean {
    return this.#carrier.isMultiplexed;
  }

  /** Another connection would be better off with another session. */
  get isHeldUp(): boolean {
    return this.#carrier.isHeldUp;
  }

  /** A connection to the port; undefined when there are too many, or the session is over. */
  openStream(): ForwardStream | undefined {
    return this.#carrier.openStream();
  }

  stats(): ForwardSessionStats {
    const { receivedBytes, sentBytes, roundTripMs } = this.#session.stats();
    return {
      receivedBytes,
      sentBytes,
      roundTripMs,
      streams: this.#carrier.streams,
      resumes: this.#session.resumes,
    };
  }

  /** Ends the session and its connections. Never rejects. */
  terminate(): Promise<void> {
    return this.#session.terminate();
  }
}

function endError(outcome: SessionOutcome, sessionId: string): ProxyError {
  switch (outcome.kind) {
    case 'failed':
      return outcome.error;
    case 'terminated':
      return new ProxyError('CANCELLED', `session ${sessionId} was ended`);
    case 'ended':
      return new ProxyError('SESSION_ENDED', `session ${sessionId} has ended`, { hint: 'connect again' });
  }
}
