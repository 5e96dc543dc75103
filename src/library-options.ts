/** The options that the library's functions have in common, and the request that they make. */
import type { Log } from './log.ts';
import type { SessionRequest } from './open-session.ts';
import { SAFE_MESSAGES_PER_SECOND } from './protocol/limits.ts';
import type { PaceLesson } from './protocol/pace-search.ts';
import type { PaceMemory } from './session/contract.ts';
import { VERSION } from './version.ts';

/** Where a target is looked for. */
export interface TargetOptions {
  /** Private or public IP address, instance ID, managed-instance ID, private DNS name or Name tag. */
  readonly target: string;
  /** One region, several to search, or `all`; default: as the AWS CLI finds it. */
  readonly region?: string | readonly string[];
  /** Several to search are separated by commas. */
  readonly profile?: string;
  /** ARN of a role to assume with the credentials that are found. */
  readonly role?: string;
  /** Account number that the credentials must belong to. */
  readonly account?: string;
  /** For every API call. */
  readonly endpointUrl?: string;
  /** VPC of the target, by ID or Name tag. */
  readonly vpc?: string;
  /** Tags that the target must have. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Instead of process.env. */
  readonly env?: NodeJS.ProcessEnv;
  readonly log?: Log;
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
}

export interface SessionOptions extends TargetOptions {
  /** Replaces the host of the stream URL. */
  readonly ssmmessagesEndpoint?: string;
  /** From the call until the session is open, for a port until its first byte; in ms, default 30,000. */
  readonly connectTimeoutMs?: number;
  /** How long a lost connection may take to come back before the session fails, in ms; default 10 min. */
  readonly resumeTimeoutMs?: number;
  /** Age of the WebSocket from which it is renewed in a quiet moment, in ms; default 50 min. */
  readonly renewAfterMs?: number;
  /** Between two WebSocket pings, in ms; default 25 s. */
  readonly pingIntervalMs?: number;
  /** How long the answer to a ping may take, in ms; default 10 s. */
  readonly pongTimeoutMs?: number;
  /**
   * Of uploads: `safe` (default) is 900 messages of 1024 bytes a second, `auto` begins there and goes as far as the path to
   * a port takes, `off` has no limit, a number is messages a second.
   */
  readonly pace?: 'safe' | 'auto' | 'off' | number;
  /** Shown in CloudTrail; default: the name and version of this package. */
  readonly reason?: string;
}

/** What the pace `auto` has learnt in this process, by region and agent version. */
const lessons = new Map<string, PaceLesson>();
/** There are few regions and versions; whoever has more begins anew. */
const MAX_LESSONS = 1000;

const paceMemoryOfProcess = (region: string): PaceMemory => ({
  recall: (agentVersion) => lessons.get(`${region} ${agentVersion}`),
  learn(agentVersion, lesson) {
    if (lessons.size >= MAX_LESSONS) lessons.clear();
    lessons.set(`${region} ${agentVersion}`, lesson);
  },
});

const DEFAULT_CONNECT_TIMEOUT_MS = 30_000;

/**
 * A session's request but for its purpose. `what`: the function and its target, for the default reason.
 * @internal
 */
export function sessionRequestOf(options: SessionOptions, what: string): Omit<SessionRequest, 'purpose'> {
  const { region, pace = 'safe' } = options;
  return {
    target: options.target,
    regions: typeof region === 'string' ? [region] : region,
    profile: options.profile,
    role: options.role,
    account: options.account,
    endpointUrl: options.endpointUrl,
    ssmmessagesEndpoint: options.ssmmessagesEndpoint,
    vpc: options.vpc,
    tags: options.tags ?? {},
    connectTimeoutMs: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    timeLimitName: 'connectTimeoutMs',
    times: {
      resumeTimeoutMs: options.resumeTimeoutMs,
      renewAfterMs: options.renewAfterMs,
      pingIntervalMs: options.pingIntervalMs,
      pongTimeoutMs: options.pongTimeoutMs,
    },
    messagesPerSecond:
      pace === 'safe' || pace === 'auto' ? SAFE_MESSAGES_PER_SECOND : pace === 'off' ? undefined : pace,
    autoPace: pace === 'auto' ? paceMemoryOfProcess : undefined,
    reason: options.reason ?? `ssm-proxy/${VERSION} ${what}`,
  };
}
