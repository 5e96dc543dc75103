/** What `connect` asks of a session, from its arguments and from what stands around this process. */
import { sinceStartMs } from '../clock.ts';
import type { SessionRequest } from '../open-session.ts';
import { portPurpose } from '../session-purpose.ts';
import type { ConnectArgs } from './connect-args.ts';
import type { Environment } from './option-values.ts';
import { connectTimes, parentSshTimeoutMs } from './parent-ssh.ts';
import { QUEUE_TIMEOUT_MS, messagesPerSecond, reason } from './session-facts.ts';

/** The time limit counts from this call. */
export function sessionRequest(args: ConnectArgs, env: Environment): SessionRequest {
  const times = timesOf(args);
  return {
    target: args.target,
    regions: args.regions,
    account: args.account,
    profile: args.profile,
    role: args.role,
    endpointUrl: args.endpointUrl,
    ssmmessagesEndpoint: args.ssmmessagesEndpoint,
    vpc: args.vpc,
    tags: args.tags,
    purpose: portPurpose(args),
    ...times,
    times: {
      resumeTimeoutMs: args.resumeTimeoutMs,
      renewAfterMs: args.renewAfterMs,
      pingIntervalMs: args.pingIntervalMs,
    },
    messagesPerSecond: messagesPerSecond(args.pace),
    pushKey: pushedKey(args, env),
    // The time of an ssh that is waiting cannot be prolonged.
    startInstance: args.startInstance && {
      limitMs: times.sharing.queueTimeoutMs === undefined ? undefined : args.startInstance.limitMs,
    },
    reason: reason(`connect ${args.target}:${args.port}`),
  };
}

/** What it takes is loaded when the instance is known, and StartSession under way. */
function pushedKey({ pushKey }: ConnectArgs, env: Environment): SessionRequest['pushKey'] {
  if (pushKey === undefined) return undefined;
  let prepare: SessionRequest['pushKey'];
  return async () => {
    prepare ??= (await import('./pushed-key.ts')).keyPreparation(pushKey, env);
    return prepare();
  };
}

/** The enclosing ssh ends its proxy when its own ConnectTimeout is over, also while that waits for its turn. */
function timesOf({ connectTimeoutMs: askedMs, startsPerSecond }: ConnectArgs) {
  const times = connectTimes(askedMs, parentSshTimeoutMs(), sinceStartMs());
  const queueTimeoutMs = times.isSshWaiting ? undefined : QUEUE_TIMEOUT_MS;
  return {
    connectTimeoutMs: times.connectTimeoutMs,
    timeLimitName: times.limitName,
    sharing: { startsPerSecond, queueTimeoutMs, sharesLookups: true },
  };
}
