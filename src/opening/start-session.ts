/**
 * StartSession until it succeeds, fails for good, or the time is up.
 *
 * A session that was started is always ended again: when the caller cancels while the call is under way, it is given
 * a moment to answer, so that what it started can be terminated.
 */
import type { AwsContext } from '../aws/context.ts';
import type { startSession, terminateSession } from '../aws/ssm-session.ts';
import type { Clock } from '../clock.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { SessionGrant } from '../session/session.ts';
import type { SessionPurpose } from '../session-purpose.ts';
import { Inquiry } from './inquiry.ts';
import { persist } from './persist.ts';
import type { StartQueue } from './start-queue.ts';
import type { TimeBudget } from './time-budget.ts';

/** How long a cancelled StartSession may still take to answer, and TerminateSession after it. Milliseconds. */
const CANCELLED_START_MS = 1_000;
const CANCELLED_TERMINATE_MS = 700;

interface SessionCalls {
  readonly startSession: typeof startSession;
  readonly terminateSession: typeof terminateSession;
}

export interface StartRequest {
  readonly instanceId: string;
  readonly purpose: Pick<SessionPurpose, 'document' | 'parameters'>;
  /** Shown in CloudTrail and in the session history. */
  readonly reason: string;
}

export interface StartParts {
  readonly context: AwsContext;
  readonly budget: TimeBudget;
  readonly queue: StartQueue;
  readonly clock: Clock;
  readonly log: Log;
  /** A few words for a status line. */
  readonly enter: (stage: string) => void;
  /** The instance ID may be out of date: TargetNotConnected ends the tries. */
  readonly isDoubtful: boolean;
  /** There is a session from here on, also when the caller has cancelled meanwhile and hears nothing more of it. */
  readonly onGrant: (grant: SessionGrant) => void;
  /** The session of the last grant was ended again, at the service too. */
  readonly onTerminated: () => void;
}

/** The errors of StartSession, TARGET_NOT_FOUND, TARGET_STOPPED, TARGET_TERMINATED, CANCELLED. */
export async function startWithin(request: StartRequest, parts: StartParts): Promise<SessionGrant> {
  const { context, budget, queue, clock, log, enter, isDoubtful } = parts;
  const { instanceId } = request;
  const inquiry = new Inquiry({
    context,
    instanceId,
    clock,
    signal: budget.signal,
    onPending: () => enter(`waiting for ${instanceId} to run`),
  });
  const attempt = async (): Promise<SessionGrant> => {
    await queue.approach(context);
    enter(`starting a session on ${instanceId}`);
    const api = await import('../aws/ssm-session.ts');
    await queue.go();
    return startOnce(request, parts, api);
  };
  try {
    return await persist(attempt, {
      ...{ budget, clock, log, verdict: inquiry.verdict },
      isFinal: (error) => error === queue.refusal || (isDoubtful && error.code === 'TARGET_NOT_CONNECTED'),
      onFailure(error) {
        enter(waitingFor(error, instanceId));
        if (error.code === 'THROTTLED') queue.throttled();
        if (error.code === 'TARGET_NOT_CONNECTED') inquiry.look();
      },
      hintFor: (error) => (error.code === 'TARGET_NOT_CONNECTED' ? (inquiry.hint ?? error.hint) : error.hint),
    });
  } finally {
    inquiry.close();
  }
}

function waitingFor(error: ProxyError, instanceId: string): string {
  switch (error.code) {
    case 'TARGET_NOT_CONNECTED':
      return `waiting for the SSM agent of ${instanceId}`;
    case 'THROTTLED':
      return `starting a session on ${instanceId} (AWS throttles the calls)`;
    default:
      return `starting a session on ${instanceId} (trying again)`;
  }
}

/** One call; when cancelled, ends what it may have started before it gives up. */
async function startOnce(
  request: StartRequest,
  { context, budget, clock, log, onGrant, onTerminated }: StartParts,
  api: SessionCalls,
): Promise<SessionGrant> {
  const { signal } = budget;
  if (signal.aborted) throw new ProxyError('CANCELLED', 'cancelled', { cause: signal.reason });
  const call = new AbortController();
  let bound: { cancel(): void } | undefined;
  const onAbort = (): void => {
    bound = clock.setTimer(CANCELLED_START_MS, () => call.abort());
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const { instanceId: target, purpose, reason } = request;
    const grant = await api.startSession(
      context,
      { target, documentName: purpose.document, reason, parameters: purpose.parameters },
      { signal: call.signal, isSingle: true },
    );
    onGrant(grant);
    if (!signal.aborted) return grant;
    const terminateSignal = AbortSignal.timeout(CANCELLED_TERMINATE_MS);
    await api
      .terminateSession(context, grant.sessionId, { signal: terminateSignal })
      .then(onTerminated, (thrown: unknown) => {
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
