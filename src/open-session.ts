/**
 * From a target as people write it to a running session: resolve, StartSession, data channel, and for ports the first
 * byte; all within one connect timeout. Trouble that may pass is waited out within it (opening/retry-policy.ts). What
 * the session is for is its purpose (session-purpose.ts); how it is run once it is started: opening/drive-session.ts.
 */
import type { AwsContext } from './aws/context.ts';
import { ProxyError, asProxyError } from './errors.ts';
import type { FindTargetDependencies, TargetRequest } from './find-target.ts';
import { driveSession } from './opening/drive-session.ts';
import type { DriveEvents, DriveRequest } from './opening/drive-session.ts';
import { getIn } from './opening/get-in.ts';
import type { Sharing, Started } from './opening/get-in.ts';
import type { KeyPush, KeyToPush } from './opening/key-push.ts';
import type { InstanceStart } from './opening/start-instance.ts';
import { TimeBudget } from './opening/time-budget.ts';
import type { TimeLimit } from './opening/time-budget.ts';
import { timedOut } from './session-errors.ts';
import type { FlightRecorder } from './session/flight-recorder.ts';
import type { Session, SessionGrant } from './session/session.ts';

export interface SessionRequest extends TargetRequest, DriveRequest {
  /** Shown in CloudTrail and in the session history. */
  readonly reason: string;
  /** What this process has in common with others of the user on this machine; undefined: nothing. */
  readonly sharing?: Sharing | undefined;
  /** A session that somebody else has started: nothing is looked up, and StartSession is not called. */
  readonly granted?: GrantedSession | undefined;
  /** Gives a public key that is to be on the node before the far end's first byte is passed on. Asked for each push. */
  readonly pushKey?: (() => Promise<KeyToPush>) | undefined;
  /** Undefined: an instance that is stopped is an error. */
  readonly startInstance?: InstanceStart | undefined;
}

/** A session that somebody else has started. */
export interface GrantedSession {
  readonly grant: SessionGrant;
  /** Target as StartSession was given it. */
  readonly targetId: string;
  /** Where its starter reached SSM; undefined: as the settings say. */
  readonly ssmEndpoint: string | undefined;
}

/** A session that was started, as one would look for it later. */
export interface StartedSession {
  readonly sessionId: string;
  readonly instanceId: string;
  readonly region: string;
  /** Undefined when nobody named one. */
  readonly profile: string | undefined;
  /** ARN of the role that was assumed beyond it. */
  readonly role: string | undefined;
  /** `--endpoint-url` and its kin for the SSM API; undefined for the region's own. */
  readonly ssmEndpoint: string | undefined;
}

export interface OpenSessionEvents extends DriveEvents {
  /** The target is this instance, which runs as far as EC2 was asked. */
  onFound?(instanceId: string, region: string): void;
  /** StartSession has answered. May come although openSession then rejects. */
  onStarted?(started: StartedSession): void;
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
    const push = await keyPush(request, { budget, clock, log, enter });
    const onFound = (context: AwsContext, instanceId: string): void => {
      events.onFound?.(instanceId, context.region);
      push?.found(context, instanceId);
    };
    const onStarted = (started: Started): void => {
      const { sessionId, instanceId: target, region } = startedSession(started);
      log.info('session_started', { sessionId, target, region });
      push?.granted();
      events.onStarted?.(startedSession(started));
    };
    const started =
      request.granted === undefined
        ? await getIn(request, {
            ...{ ...dependencies, budget, enter, onFound, onStarted },
            onTerminated: () => events.onTerminated?.(),
          })
        : await takeGranted(request.granted, request, dependencies);
    if (request.granted !== undefined) onStarted(started);
    if (push === undefined) return driveSession(started, request, budget, dependencies, events);
    const { HeldBack } = await import('./opening/held-back.ts');
    const heldBack = new HeldBack(events, () => push.ready());
    const session = await driveSession(started, request, budget, dependencies, heldBack.events);
    heldBack.attach(session);
    return session;
  } catch (thrown) {
    budget.close();
    if (signal.aborted) throw new ProxyError('CANCELLED', 'cancelled', { cause: thrown });
    const error = asProxyError(thrown);
    if (!budget.isSpent || error.code !== 'CANCELLED') throw error;
    const { limitMs: connectTimeoutMs, name: timeLimitName } = budget.limit;
    throw timedOut({ ...request, connectTimeoutMs, timeLimitName }, stage, thrown);
  }
}

async function takeGranted(
  granted: GrantedSession,
  request: SessionRequest,
  { env, log }: OpenSessionDependencies,
): Promise<Started> {
  const { takeGrant } = await import('./opening/take-grant.ts');
  return takeGrant(granted, request, { env, log });
}

async function keyPush(
  { pushKey }: SessionRequest,
  parts: ConstructorParameters<typeof KeyPush>[1],
): Promise<KeyPush | undefined> {
  if (pushKey === undefined) return undefined;
  const opening = await import('./opening/key-push.ts');
  return new opening.KeyPush(pushKey, parts);
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
    role: context.role,
    ssmEndpoint: context.endpoint('SSM'),
  };
}
