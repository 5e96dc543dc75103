/** What `connect` asks of a session, from its arguments and from what stands around this process. */
import { hostname, userInfo } from 'node:os';
import type { SessionRequest } from '../open-session.ts';
import { SAFE_MESSAGES_PER_SECOND } from '../protocol/limits.ts';
import { portPurpose } from '../session-purpose.ts';
import { VERSION } from '../version.ts';
import type { ConnectArgs, Pace } from './connect-args.ts';
import { connectTimes, parentSshTimeoutMs } from './parent-ssh.ts';

/** Longest Reason that StartSession takes. */
const REASON_CHARACTERS = 256;
/** Longest wait for a turn at StartSession when no ssh counts the time: 900 processes at 3 a second. Milliseconds. */
const QUEUE_TIMEOUT_MS = 300_000;

/** The time limit counts from this call. */
export function sessionRequest(args: ConnectArgs): SessionRequest {
  return {
    target: args.target,
    regions: args.regions,
    account: args.account,
    profile: args.profile,
    endpointUrl: args.endpointUrl,
    ssmmessagesEndpoint: args.ssmmessagesEndpoint,
    vpc: args.vpc,
    tags: args.tags,
    purpose: portPurpose(args),
    ...timesOf(args),
    times: {
      resumeTimeoutMs: args.resumeTimeoutMs,
      renewAfterMs: args.renewAfterMs,
      pingIntervalMs: args.pingIntervalMs,
    },
    messagesPerSecond: messagesPerSecond(args.pace),
    reason: reason(args),
  };
}

/** The enclosing ssh ends its proxy when its own ConnectTimeout is over, also while that waits for its turn. */
function timesOf({ connectTimeoutMs: askedMs, startsPerSecond }: ConnectArgs) {
  const times = connectTimes(askedMs, parentSshTimeoutMs(), performance.now());
  const queueTimeoutMs = times.isSshWaiting ? undefined : QUEUE_TIMEOUT_MS;
  return {
    connectTimeoutMs: times.connectTimeoutMs,
    timeLimitName: times.limitName,
    sharing: { startsPerSecond, queueTimeoutMs, sharesLookups: true },
  };
}

function messagesPerSecond(pace: Pace): number | undefined {
  switch (pace.kind) {
    case 'safe':
      return SAFE_MESSAGES_PER_SECOND;
    case 'off':
      return undefined;
    case 'rate':
      return pace.messagesPerSecond;
  }
}

/** Who, from where, with what, to what: readable in CloudTrail. */
function reason(args: ConnectArgs): string {
  return `ssm-proxy/${VERSION} ${userName()}@${hostname()} connect ${args.target}:${args.port}`.slice(
    0,
    REASON_CHARACTERS,
  );
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // No entry in the user database, as in many containers.
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}
