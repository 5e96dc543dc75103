/**
 * Runs a session that StartSession has granted: signs and opens its data channel, and turns its events into those of
 * the caller. Until the session is open (see SessionPurpose.opensWith) the time budget bounds it.
 */
import { randomFillSync } from 'node:crypto';
import type { AwsContext } from '../aws/context.ts';
import type { Clock } from '../clock.ts';
import { asProxyError } from '../errors.ts';
import type { ProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { explain, silent } from '../session-errors.ts';
import type { SessionSubject } from '../session-errors.ts';
import type { SessionPurpose } from '../session-purpose.ts';
import type { PaceMemory } from '../session/contract.ts';
import type { FlightRecorder } from '../session/flight-recorder.ts';
import type { SessionApi, SessionEvents, SessionOutcome, SessionTimes } from '../session/session.ts';
import { Session } from '../session/session.ts';
import type { Started } from './get-in.ts';
import { findGone } from './gone.ts';
import { noticeFailures } from './notice-failures.ts';
import { gaveUp } from './persist.ts';
import type { TimeBudget } from './time-budget.ts';

export interface DriveRequest {
  /** As the user gave it. */
  readonly target: string;
  readonly purpose: SessionPurpose;
  /** From the call until the session is open. Milliseconds. */
  readonly connectTimeoutMs: number;
  /** What set that time, for hints (`--connect-timeout`); undefined when it is nothing to speak of. */
  readonly timeLimitName: string | undefined;
  /** Undefined: no pace. */
  readonly messagesPerSecond: number | undefined;
  /** Makes the pace `auto`: where what was learnt in a region is kept. */
  readonly autoPace?: ((region: string) => PaceMemory) | undefined;
  /** Times of the session that differ from the defaults. */
  readonly times?: SessionTimes | undefined;
  /** From the data channel's opening to the end of the handshake, in ms; default 30 s. */
  readonly handshakeTimeoutMs?: number | undefined;
  /** Bytes that wait to be sent, above which `write` returns false; default 128 KiB. */
  readonly pendingLimitBytes?: number | undefined;
  /** Once the data channel is open, the far end may take its time before it says what the session is. */
  readonly mayBeSilent?: boolean | undefined;
  /** Why no data key can be asked for, should the session be encrypted. */
  readonly noDataKey?: ProxyError | undefined;
}

export interface DriveDependencies {
  readonly clock: Clock;
  readonly log: Log;
  /** Takes note of the session's messages and events. */
  readonly recorder?: FlightRecorder | undefined;
}

export interface DriveEvents extends SessionEvents {
  /** A few words for a status line: what is being waited for. */
  onStage(stage: string): void;
  /** The service has nothing left of the session: it said so, or TerminateSession has succeeded. May come twice. */
  onTerminated?(): void;
}

/** Resolves with the session while it is still being opened; it is the caller's. Closes the context at its end. */
export async function driveSession(
  { context, targetId, grant }: Started,
  request: DriveRequest,
  budget: TimeBudget,
  { clock, log, recorder }: DriveDependencies,
  events: DriveEvents,
): Promise<Session> {
  const { purpose } = request;
  const { limitMs, name } = budget.limit;
  const subject: SessionSubject = { ...request, targetId, connectTimeoutMs: limitMs, timeLimitName: name };
  let wasReady = false;
  /** Why the data channel is not up yet; better than to say that it took too long. */
  let trouble: ProxyError | undefined;
  let hasOpened = false;
  const notice = (error: unknown): void => {
    trouble = asProxyError(error);
  };
  const [{ signStreamUrl }, { createWebSocketConnect }] = await Promise.all([
    import('../aws/stream-url.ts'),
    import('../transport/websocket.ts'),
  ]);
  const connect = createWebSocketConnect({
    network: context.network,
    sign: (url) => signStreamUrl(context, url),
    log: log.child('websocket'),
  });
  events.onStage(`opening the data channel to ${targetId}`);
  const session = new Session(
    {
      ...{ grant, targetId, ...request.times },
      messagesPerSecond: request.messagesPerSecond,
      autoPace: request.autoPace?.(context.region),
      handshakeTimeoutMs: request.mayBeSilent === true ? Infinity : request.handshakeTimeoutMs,
      pendingLimitBytes: request.pendingLimitBytes,
    },
    {
      connect: noticeFailures(connect, notice, () => (hasOpened = true)),
      api: sessionApi(context, grant.sessionId, targetId, {
        onTerminated: () => events.onTerminated?.(),
        onFailure: notice,
        noDataKey: request.noDataKey,
      }),
      clock,
      log: log.child('session'),
      randomBytes: pooledRandom(),
      recorder,
    },
    {
      onReady(facts) {
        wasReady = true;
        const error = purpose.unusable(facts);
        if (error !== undefined) {
          void session.terminate({ kind: 'failed', error });
          return;
        }
        if (purpose.opensWith === 'setup') budget.close();
        else events.onStage(`waiting for ${purpose.farEnd} of ${targetId}`);
        events.onReady(facts);
      },
      onData(data, stream) {
        budget.close();
        events.onData(data, stream);
      },
      onWritable: () => events.onWritable(),
      onDrained: () => events.onDrained(),
      onNotice: (text) => events.onNotice(text),
      onExitCode: (exitCode) => events.onExitCode?.(exitCode),
      onFlag: (flag) => events.onFlag?.(flag),
      onLink: (state) => events.onLink?.(state),
      onEnd(outcome) {
        budget.close();
        context.close();
        if (isOverAtService(outcome, session)) events.onTerminated?.();
        events.onEnd(explain(outcome, subject, session.sessionId, wasReady));
      },
    },
  );
  budget.onSpent(() => {
    if (request.mayBeSilent === true && hasOpened) return;
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

interface ApiParts {
  readonly onTerminated: () => void;
  readonly onFailure: (error: unknown) => void;
  readonly noDataKey: ProxyError | undefined;
}

function sessionApi(
  context: AwsContext,
  sessionId: string,
  targetId: string,
  { onTerminated, onFailure, noDataKey }: ApiParts,
): SessionApi {
  return {
    async resume(signal) {
      const { resumeSession } = await import('../aws/ssm-session.ts');
      try {
        return await resumeSession(context, sessionId, { signal });
      } catch (error) {
        onFailure(error);
        throw error;
      }
    },
    async terminate(signal) {
      const { terminateSession } = await import('../aws/ssm-session.ts');
      await terminateSession(context, sessionId, { signal });
      onTerminated();
    },
    async dataKey(wanted) {
      if (noDataKey !== undefined) throw noDataKey;
      const { generateDataKey } = await import('../aws/data-key.ts');
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
