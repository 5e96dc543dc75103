/** A session of the keeper's: multiplexed, to one port of a node, with a record for `ssm-proxy sessions`. */
import { hostname } from 'node:os';
import { systemClock } from '../clock.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { openForwardSession } from '../forward/forward-session.ts';
import type { ForwardSession } from '../forward/forward-session.ts';
import type { Identities } from '../keeper/identities.ts';
import { NotShareable } from '../keeper/node-session.ts';
import type { NodeSession, NodeSessionEvents } from '../keeper/node-session.ts';
import type { ConnectRequest } from '../keeper/wire.ts';
import type { Log } from '../log.ts';
import type { SessionRequest } from '../open-session.ts';
import { SAFE_MESSAGES_PER_SECOND } from '../protocol/limits.ts';
import { forwardPurpose } from '../session-purpose.ts';
import { VERSION } from '../version.ts';
import type { Environment } from './option-values.ts';
import { SessionTrace } from './session-trace.ts';

/** To open a session; its clients have limits of their own. Milliseconds. */
const OPEN_LIMIT_MS = 60_000;
/** Longest wait for a turn at StartSession. Milliseconds. */
const QUEUE_TIMEOUT_MS = 300_000;
/** Where a session of one's own may work although a shared one does not. */
const OWN_MAY_WORK: ReadonlySet<ErrorCode> = new Set([
  'ACCESS_DENIED',
  'DOCUMENT_INVALID',
  'HANDSHAKE_FAILED',
]);

export interface KeptSessionParts {
  readonly identities: Identities;
  /** The keeper's own: where its records are. */
  readonly env: Environment;
  readonly log: Log;
}

/** Rejects with NotShareable, or the ProxyError of what failed. */
export async function openKeptSession(
  request: ConnectRequest,
  { identities, env, log }: KeptSessionParts,
  events: NodeSessionEvents,
  signal: AbortSignal,
): Promise<NodeSession> {
  const { target, port } = request.target;
  const trace = new SessionTrace(env, log, () => systemClock.wallNow());
  let isOver = false;
  let isOpen = true;
  const contexts = await identities.contexts(request);
  let session: ForwardSession;
  try {
    session = await openForwardSession(
      sessionRequest(request),
      { env: request.env, clock: systemClock, log, contexts },
      {
        onStage: (stage) => events.onStage(stage),
        onStarted: (started) => trace.begin(started, `${target}:${port}`, { isShared: true }),
        onTerminated: () => (isOver = true),
        onEnd: (outcome) => {
          isOpen = false;
          log.info('shared_session_ended', { target, port, outcome: outcome.kind });
          void trace.end(isOver || outcome.kind === 'ended');
          events.onEnd();
        },
      },
      signal,
    );
    // Who kills the keeper from here on leaves a session that the next keeper finds and ends.
    await trace.recorded();
  } catch (thrown) {
    void trace.end(isOver);
    const error = asProxyError(thrown);
    if (OWN_MAY_WORK.has(error.code)) throw new NotShareable(error.message);
    throw error;
  }
  if (!session.isMultiplexed) {
    isOpen = false;
    void session.terminate();
    throw new NotShareable('the agent does not multiplex');
  }
  return {
    sessionId: session.sessionId,
    instanceId: session.instanceId,
    region: session.region,
    get isOpen() {
      return isOpen;
    },
    openStream() {
      const stream = session.openStream();
      if (stream !== undefined) return stream;
      throw new ProxyError('SESSION_ENDED', `session ${session.sessionId} takes no more connections`, {
        hint: 'connect again',
      });
    },
    stats: () => session.stats(),
    async terminate() {
      isOpen = false;
      await session.terminate();
    },
  };
}

function sessionRequest({ target: wanted }: ConnectRequest): SessionRequest {
  const { target, port, regions, profile, role, endpointUrl, ssmmessagesEndpoint, vpc, tags, account } =
    wanted;
  return {
    ...{ target, regions, profile, role, endpointUrl, ssmmessagesEndpoint, vpc, tags, account },
    purpose: forwardPurpose({ port, host: undefined, document: undefined, parameters: {} }),
    connectTimeoutMs: OPEN_LIMIT_MS,
    timeLimitName: undefined,
    messagesPerSecond: messagesPerSecond(wanted.pace),
    times: {
      resumeTimeoutMs: wanted.resumeTimeoutMs,
      renewAfterMs: wanted.renewAfterMs,
      pingIntervalMs: wanted.pingIntervalMs,
    },
    reason: `ssm-proxy/${VERSION} ${hostname()} shared ${target}:${port}`,
    sharing: {
      startsPerSecond: wanted.startsPerSecond,
      queueTimeoutMs: QUEUE_TIMEOUT_MS,
      sharesLookups: true,
    },
  };
}

function messagesPerSecond(pace: string): number | undefined {
  if (pace === 'off') return undefined;
  return pace === 'safe' ? SAFE_MESSAGES_PER_SECOND : Number(pace);
}
