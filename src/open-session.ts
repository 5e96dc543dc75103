/**
 * From a target as people write it to a running session: resolve, StartSession, data channel, first byte; all within
 * one connect timeout. Trouble that may pass is waited out within it (opening/retry-policy.ts). Used by `connect` and
 * by the library.
 */
import { randomFillSync } from 'node:crypto';
import type { AwsContext } from './aws/context.ts';
import { ProxyError, asProxyError } from './errors.ts';
import type { FindTargetDependencies, TargetRequest } from './find-target.ts';
import { getIn } from './opening/get-in.ts';
import type { Sharing, Started } from './opening/get-in.ts';
import { findGone } from './opening/gone.ts';
import { noticeFailures } from './opening/notice-failures.ts';
import { gaveUp } from './opening/persist.ts';
import { TimeBudget } from './opening/time-budget.ts';
import type { TimeLimit } from './opening/time-budget.ts';
import { explain, silent, timedOut, unusable } from './session-errors.ts';
import type { SessionSubject } from './session-errors.ts';
import type { FlightRecorder } from './session/flight-recorder.ts';
import type { SessionApi, SessionEvents, SessionOutcome, SessionTimes } from './session/session.ts';
import { Session } from './session/session.ts';

export interface SessionRequest extends TargetRequest {
  readonly port: number;
  /** Default AWS-StartSSHSession. */
  readonly document: string | undefined;
  readonly parameters: Readonly<Record<string, readonly string[]>>;
  /** From the call to the first byte of the far end. */
  readonly connectTimeoutMs: number;
  /** What set that time, for hints (`--connect-timeout`); undefined when it is nothing to speak of. */
  readonly timeLimitName: string | undefined;
  /** Undefined: no pace. */
  readonly messagesPerSecond: number | undefined;
  /** Times of the session that differ from the defaults. */
  readonly times?: SessionTimes | undefined;
  /** Shown in CloudTrail and in the session history. */
  readonly reason: string;
  /** What this process has in common with others of the user on this machine; undefined: nothing. */
  readonly sharing?: Sharing | undefined;
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
  /** The target is this instance, which runs as far as EC2 was asked. */
  onFound?(instanceId: string, region: string): void;
  /** StartSession has answered. May come although openSession then rejects. */
  onStarted?(started: StartedSession): void;
  /** The service has nothing left of the session: it said so, or TerminateSession has succeeded. May come twice. */
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
  const { clock, log } = dependencies;
  const budget = new TimeBudget(clock, timeLimitOf(request), signal);
  let stage = 'reading the AWS configuration';
  const enter = (next: string): void => {
    stage = next;
    events.onStage(next);
  };
  try {
    const onFound = events.onFound?.bind(events);
    const started = await getIn(request, { ...dependencies, budget, enter, onFound });
    log.info('session_started', {
      sessionId: started.grant.sessionId,
      target: started.targetId,
      region: started.context.region,
    });
    events.onStarted?.(startedSession(started));
    return await drive(started, request, budget, dependencies, events);
  } catch (thrown) {
    budget.close();
    if (signal.aborted) throw new ProxyError('CANCELLED', 'cancelled', { cause: thrown });
    const error = asProxyError(thrown);
    if (!budget.isSpent || error.code !== 'CANCELLED') throw error;
    throw timedOut(request, stage, thrown);
  }
}

function timeLimitOf({ connectTimeoutMs, timeLimitName, sharing }: SessionRequest): TimeLimit {
  return { limitMs: connectTimeoutMs, name: timeLimitName, elasticMs: sharing?.queueTimeoutMs ?? 0 };
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

/** Runs the session until its first byte; from then on it is the caller's. */
async function drive(
  { context, targetId, grant }: Started,
  request: SessionRequest,
  budget: TimeBudget,
  { clock, log, recorder }: OpenSessionDependencies,
  events: OpenSessionEvents,
): Promise<Session> {
  const subject: SessionSubject = { ...request, targetId };
  let wasReady = false;
  /** Why the data channel is not up yet; better than to say that it took too long. */
  let trouble: ProxyError | undefined;
  const notice = (error: unknown): void => {
    trouble = asProxyError(error);
  };
  const [{ signStreamUrl }, { createWebSocketConnect }] = await Promise.all([
    import('./aws/stream-url.ts'),
    import('./transport/websocket.ts'),
  ]);
  const connect = createWebSocketConnect({
    network: context.network,
    sign: (url) => signStreamUrl(context, url),
    log: log.child('websocket'),
  });
  events.onStage(`opening the data channel to ${targetId}`);
  const session = new Session(
    { grant, targetId, messagesPerSecond: request.messagesPerSecond, ...request.times },
    {
      connect: noticeFailures(connect, notice),
      api: sessionApi(context, grant.sessionId, targetId, () => events.onTerminated?.(), notice),
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
        budget.close();
        events.onData(data, stream);
      },
      onWritable: () => events.onWritable(),
      onDrained: () => events.onDrained(),
      onNotice: (text) => events.onNotice(text),
      onEnd(outcome) {
        budget.close();
        context.close();
        if (isOverAtService(outcome, session)) events.onTerminated?.();
        events.onEnd(explain(outcome, subject, session.sessionId, wasReady));
      },
    },
  );
  budget.onSpent(() => {
    const error =
      trouble === undefined || wasReady ? silent(subject, session.stats()) : gaveUp(trouble, { budget });
    void session.terminate({ kind: 'failed', error });
  });
  session.open();
  return session;
}

function isOverAtService(outcome: SessionOutcome, session: Session): boolean {
  switch (outcome.kind) {
    case 'ended':
      return true;
    case 'terminated':
      // channel_closed was the answer to our flag; the API's answer may still be on its way.
      return session.stats().state === 'closed';
    case 'failed':
      return outcome.error.code === 'SESSION_GONE';
  }
}

function sessionApi(
  context: AwsContext,
  sessionId: string,
  targetId: string,
  onTerminated: () => void,
  onFailure: (error: unknown) => void,
): SessionApi {
  return {
    async resume(signal) {
      const { resumeSession } = await import('./aws/ssm-session.ts');
      try {
        return await resumeSession(context, sessionId, { signal });
      } catch (error) {
        onFailure(error);
        throw error;
      }
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
    diagnose: (signal) => findGone(context, targetId, signal),
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
