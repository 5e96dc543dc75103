/**
 * From a target as people write it to a running session: resolve, StartSession, data channel, first byte; all within
 * one connect timeout. Used by `connect` and by the library.
 *
 * A session that was started is always ended again: when the caller cancels while StartSession is under way, the call
 * is given a moment to answer, so that what it started can be terminated.
 */
import { randomFillSync } from 'node:crypto';
import type { AwsContext } from './aws/context.ts';
import { ProxyError, asProxyError } from './errors.ts';
import type { FindTargetDependencies, TargetRequest } from './find-target.ts';
import { findTarget } from './find-target.ts';
import { SSH_DOCUMENT, explain, silent, timedOut, unusable } from './session-errors.ts';
import type { SessionSubject } from './session-errors.ts';
import type { FlightRecorder } from './session/flight-recorder.ts';
import type { SessionApi, SessionEvents, SessionGrant } from './session/session.ts';
import { Session } from './session/session.ts';

/** How long a cancelled StartSession may still take to answer, and TerminateSession after it. Milliseconds. */
const CANCELLED_START_MS = 1_000;
const CANCELLED_TERMINATE_MS = 700;

export interface SessionRequest extends TargetRequest {
  readonly port: number;
  /** Default AWS-StartSSHSession. */
  readonly document: string | undefined;
  readonly parameters: Readonly<Record<string, readonly string[]>>;
  /** From the call to the first byte of the far end. */
  readonly connectTimeoutMs: number;
  /** Undefined: no pace. */
  readonly messagesPerSecond: number | undefined;
  /** Shown in CloudTrail and in the session history. */
  readonly reason: string;
}

/** A session that was started, as one would look for it later. */
export interface StartedSession {
  readonly sessionId: string;
  readonly instanceId: string;
  readonly region: string;
  /** Undefined when nobody named one. */
  readonly profile: string | undefined;
  /** `--endpoint-url` and its kin for the SSM API; undefined for the region's own. */
  readonly ssmEndpoint: string | undefined;
}

export interface OpenSessionEvents extends SessionEvents {
  /** A few words for a status line: what is being waited for. */
  onStage(stage: string): void;
  /** StartSession has answered. May come although openSession then rejects. */
  onStarted?(started: StartedSession): void;
  /** TerminateSession has succeeded: the service has nothing left of the session. */
  onTerminated?(): void;
}

export interface OpenSessionDependencies extends FindTargetDependencies {
  /** Takes note of the session's messages and events. */
  readonly recorder?: FlightRecorder | undefined;
}

/**
 * Rejects with a ProxyError while there is no session; afterwards everything is told to `events`, whose `onEnd` is
 * called exactly once. Aborting `signal` acts until this resolves: end the session itself later.
 */
export async function openSession(
  request: SessionRequest,
  dependencies: OpenSessionDependencies,
  events: OpenSessionEvents,
  signal: AbortSignal,
): Promise<Session> {
  const { clock } = dependencies;
  const deadline = clock.now() + request.connectTimeoutMs;
  const timeout = new AbortController();
  const timer = clock.setTimer(request.connectTimeoutMs, () => timeout.abort());
  let stage = 'reading the AWS configuration';
  const enter = (next: string): void => {
    stage = next;
    events.onStage(next);
  };
  try {
    const started = await start(request, dependencies, enter, AbortSignal.any([signal, timeout.signal]));
    events.onStarted?.(startedSession(started));
    return await drive(started, request, deadline, dependencies, events);
  } catch (thrown) {
    if (signal.aborted) throw new ProxyError('CANCELLED', 'cancelled', { cause: thrown });
    const error = asProxyError(thrown);
    if (!timeout.signal.aborted || error.code !== 'CANCELLED') throw error;
    throw timedOut(request, stage, thrown);
  } finally {
    timer.cancel();
  }
}

interface Started {
  readonly context: AwsContext;
  readonly targetId: string;
  readonly grant: SessionGrant;
}

function startedSession({ context, targetId, grant }: Started): StartedSession {
  return {
    sessionId: grant.sessionId,
    instanceId: targetId,
    region: context.region,
    profile: context.profile,
    ssmEndpoint: context.endpoint('SSM'),
  };
}

async function start(
  request: SessionRequest,
  dependencies: OpenSessionDependencies,
  enter: (stage: string) => void,
  signal: AbortSignal,
): Promise<Started> {
  const { context, instanceId } = await findTarget(request, dependencies, enter, signal);
  enter(`starting a session on ${instanceId}`);
  const { startSession } = await import('./aws/ssm-session.ts');
  const parameters: Record<string, string[]> = { portNumber: [String(request.port)] };
  for (const [name, values] of Object.entries(request.parameters)) parameters[name] = [...values];
  // An empty value takes a parameter out: for one's own documents that have no port.
  const given = Object.entries(parameters).filter(([, values]) => values.some((value) => value !== ''));
  const call = new AbortController();
  const started = startSession(
    context,
    {
      target: instanceId,
      documentName: request.document ?? SSH_DOCUMENT,
      parameters: Object.fromEntries(given),
      reason: request.reason,
    },
    { signal: call.signal },
  );
  const grant = await settleStart(started, context, dependencies, call, signal);
  dependencies.log.info('session_started', {
    sessionId: grant.sessionId,
    target: instanceId,
    region: context.region,
  });
  return { context, targetId: instanceId, grant };
}

/** Waits for StartSession; when cancelled, ends what it may have started before it gives up. */
async function settleStart(
  started: Promise<SessionGrant>,
  context: AwsContext,
  { clock, log }: OpenSessionDependencies,
  call: AbortController,
  signal: AbortSignal,
): Promise<SessionGrant> {
  let bound: { cancel(): void } | undefined;
  const onAbort = (): void => {
    bound = clock.setTimer(CANCELLED_START_MS, () => call.abort());
  };
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const grant = await started;
    if (!signal.aborted) return grant;
    const { terminateSession } = await import('./aws/ssm-session.ts');
    const terminateSignal = AbortSignal.timeout(CANCELLED_TERMINATE_MS);
    await terminateSession(context, grant.sessionId, { signal: terminateSignal }).catch((thrown: unknown) => {
      log.debug('terminate_call_failed', { code: asProxyError(thrown).code });
    });
    throw new ProxyError('CANCELLED', 'cancelled while the session was starting');
  } catch (thrown) {
    if (signal.aborted) throw new ProxyError('CANCELLED', 'cancelled', { cause: thrown });
    throw thrown;
  } finally {
    bound?.cancel();
    signal.removeEventListener('abort', onAbort);
  }
}

/** Runs the session until its first byte; from then on it is the caller's. */
async function drive(
  { context, targetId, grant }: Started,
  request: SessionRequest,
  deadline: number,
  { clock, log, recorder }: OpenSessionDependencies,
  events: OpenSessionEvents,
): Promise<Session> {
  const subject: SessionSubject = { ...request, targetId };
  let wasReady = false;
  const [{ signStreamUrl }, { createWebSocketConnect }] = await Promise.all([
    import('./aws/stream-url.ts'),
    import('./transport/websocket.ts'),
  ]);
  const connect = createWebSocketConnect({
    network: context.network,
    sign: (url) => signStreamUrl(context, url),
    log: log.child('websocket'),
  });
  const waiting = clock.setTimer(deadline - clock.now(), () => {
    void session.terminate({ kind: 'failed', error: silent(subject, session.stats()) });
  });
  events.onStage(`opening the data channel to ${targetId}`);
  const session = new Session(
    { grant, targetId, messagesPerSecond: request.messagesPerSecond },
    {
      connect,
      api: sessionApi(context, grant.sessionId, () => events.onTerminated?.()),
      clock,
      log: log.child('session'),
      randomBytes: pooledRandom(),
      recorder,
    },
    {
      onReady(facts) {
        wasReady = true;
        const error = unusable(facts, subject);
        if (error !== undefined) {
          void session.terminate({ kind: 'failed', error });
          return;
        }
        events.onStage(`waiting for port ${request.port} of ${targetId}`);
        events.onReady(facts);
      },
      onData(data, stream) {
        waiting.cancel();
        events.onData(data, stream);
      },
      onWritable: () => events.onWritable(),
      onDrained: () => events.onDrained(),
      onNotice: (text) => events.onNotice(text),
      onEnd(outcome) {
        waiting.cancel();
        context.close();
        events.onEnd(explain(outcome, subject, session.sessionId, wasReady));
      },
    },
  );
  session.open();
  return session;
}

function sessionApi(context: AwsContext, sessionId: string, onTerminated: () => void): SessionApi {
  return {
    async resume(signal) {
      const { resumeSession } = await import('./aws/ssm-session.ts');
      return resumeSession(context, sessionId, { signal });
    },
    async terminate(signal) {
      const { terminateSession } = await import('./aws/ssm-session.ts');
      await terminateSession(context, sessionId, { signal });
      onTerminated();
    },
    async dataKey(wanted) {
      const { generateDataKey } = await import('./aws/data-key.ts');
      return { key: await generateDataKey(context, wanted) };
    },
  };
}

/** Random bytes from a pool that is filled in one call: ids are needed for every message. */
function pooledRandom(): (count: number) => Uint8Array {
  const pool = Buffer.allocUnsafe(4096);
  let next = pool.length;
  return (count) => {
    if (next + count > pool.length) {
      randomFillSync(pool);
      next = 0;
    }
    next += count;
    // A view: callers use it before they ask again.
    return pool.subarray(next - count, next);
  };
}
