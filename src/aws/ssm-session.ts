/** The Session Manager calls of the SSM API. The only file that knows the SSM client. */
import {
  DescribeInstanceInformationCommand,
  ResumeSessionCommand,
  SSMClient,
  StartSessionCommand,
  TerminateSessionCommand,
} from '@aws-sdk/client-ssm';
import type { InstanceInformation } from '@aws-sdk/client-ssm';
import { ProxyError } from '../errors.ts';
import type { CallOptions } from './call.ts';
import { call } from './call.ts';
import { clientCache } from './client-cache.ts';
import type { AwsContext } from './context.ts';
import type { AgentStatus } from './node-facts.ts';
import type { AwsCredentials } from './credential-store.ts';
import { effectiveStreamUrl } from './stream-host.ts';

export type { AgentStatus } from './node-facts.ts';

/** What opens a data channel. Stream URL and token are secrets. */
export interface SessionGrant {
  readonly sessionId: string;
  /**
   * As the service wrote it, byte for byte, but for a host that the settings replace. After ResumeSession it may be
   * empty: then the one before stays.
   */
  readonly streamUrl: string;
  readonly tokenValue: string;
}

export interface SessionRequest {
  /** Instance ID (`i-...`), managed-instance ID (`mi-...`) or ECS target. */
  readonly target: string;
  /** Session document; undefined for the account's shell preferences. */
  readonly documentName: string | undefined;
  readonly parameters: Readonly<Record<string, readonly string[]>>;
  /** Who and why, for CloudTrail; cut to the 256 characters that the API takes. */
  readonly reason: string | undefined;
}

const MAX_REASON_LENGTH = 256;
/** The renewal of credentials may fail; ones with at least this left are then good enough. Milliseconds. */
const USABLE_CREDENTIALS_MS = 60_000;

const clientOf = clientCache('SSM', (config) => new SSMClient(config));

/**
 * StartSession. Retried by the SDK on throttling and trouble of the service. TARGET_NOT_CONNECTED, DOCUMENT_INVALID,
 * ACCESS_DENIED, THROTTLED, CREDENTIALS_*, ENDPOINT_UNREACHABLE, TLS_UNTRUSTED, SERVICE_ERROR.
 */
export async function startSession(
  context: AwsContext,
  request: SessionRequest,
  options: CallOptions = {},
): Promise<SessionGrant> {
  const parameters = Object.entries(request.parameters).map(([name, values]): [string, string[]] => [
    name,
    [...values],
  ]);
  const command = new StartSessionCommand({
    Target: request.target,
    ...(request.documentName !== undefined && { DocumentName: request.documentName }),
    ...(parameters.length > 0 && { Parameters: Object.fromEntries(parameters) }),
    ...(request.reason && { Reason: cut(request.reason, MAX_REASON_LENGTH) }),
  });
  const answer = await call(
    context,
    {
      operation: 'StartSession',
      send: (credentials, abortSignal) =>
        clientOf(context, credentials, options).send(command, { abortSignal }),
    },
    options,
  );
  if (!answer.SessionId || !answer.StreamUrl || !answer.TokenValue) {
    throw new ProxyError('SERVICE_ERROR', 'StartSession answered without session ID, stream URL or token');
  }
  return {
    sessionId: answer.SessionId,
    streamUrl: effectiveStreamUrl(context, answer.StreamUrl),
    tokenValue: answer.TokenValue,
  };
}

/** Cut to a number of UTF-16 units, without half a character at the end. */
function cut(text: string, length: number): string {
  return text.slice(0, length).replace(/[\ud800-\udbff]$/, '');
}

/**
 * ResumeSession with credentials read anew: those of an hour ago may have been replaced. SESSION_GONE when the
 * session has ended; otherwise as startSession.
 */
export async function resumeSession(
  context: AwsContext,
  sessionId: string,
  options: CallOptions = {},
): Promise<SessionGrant> {
  const command = new ResumeSessionCommand({ SessionId: sessionId });
  const answer = await call(
    context,
    {
      operation: 'ResumeSession',
      credentials: () => renewCredentials(context),
      send: (credentials, abortSignal) =>
        clientOf(context, credentials, options).send(command, { abortSignal }),
    },
    options,
  );
  if (!answer.TokenValue) {
    throw new ProxyError('SESSION_GONE', `session ${sessionId} has ended and cannot be resumed`, {
      hint: 'connect again',
    });
  }
  return {
    sessionId: answer.SessionId ?? sessionId,
    streamUrl: answer.StreamUrl ? effectiveStreamUrl(context, answer.StreamUrl) : '',
    tokenValue: answer.TokenValue,
  };
}

/** An SSO login that ended meanwhile must not end a session whose role credentials are still good. */
async function renewCredentials(context: AwsContext): Promise<AwsCredentials> {
  try {
    return await context.freshCredentials();
  } catch (error) {
    const cached = context.cachedCredentials();
    const expiration = cached?.expiration;
    if (cached === undefined || expiration === undefined) throw error;
    if (expiration.getTime() - Date.now() < USABLE_CREDENTIALS_MS) throw error;
    context.log.warn('credentials-not-renewed', {
      code: error instanceof ProxyError ? error.code : 'INTERNAL',
      expires: expiration.toISOString(),
    });
    return cached;
  }
}

/** TerminateSession. Succeeds also for a session that has ended. */
export async function terminateSession(
  context: AwsContext,
  sessionId: string,
  options: CallOptions = {},
): Promise<void> {
  const command = new TerminateSessionCommand({ SessionId: sessionId });
  await call(
    context,
    {
      operation: 'TerminateSession',
      send: (credentials, abortSignal) =>
        clientOf(context, credentials, options).send(command, { abortSignal }),
    },
    options,
  );
}

/** The most that one answer holds. */
const MAX_AGENTS = 50;
const PING_STATES: Readonly<Record<string, AgentStatus['status']>> = {
  Online: 'online',
  ConnectionLost: 'lost',
  Inactive: 'inactive',
};

/** What SSM knows of an instance's agent. A missing permission is a status, not an error. */
export async function agentStatus(
  context: AwsContext,
  instanceId: string,
  options: CallOptions = {},
): Promise<AgentStatus> {
  const statuses = await describeAgents(context, [instanceId], options);
  return statuses.get(instanceId) ?? { status: 'unregistered' };
}

/** As agentStatus, for up to 50 instances, by ID; those that SSM does not know have no entry. */
export async function describeAgents(
  context: AwsContext,
  instanceIds: readonly string[],
  options: CallOptions = {},
): Promise<ReadonlyMap<string, AgentStatus>> {
  const statuses = new Map<string, AgentStatus>();
  let token: string | undefined;
  try {
    // A page holds as many as are asked for; a service that gives fewer gives one at least.
    for (let page = 0; page < instanceIds.length; page += 1) {
      const command = new DescribeInstanceInformationCommand({
        Filters: [{ Key: 'InstanceIds', Values: [...instanceIds] }],
        MaxResults: MAX_AGENTS,
        ...(token !== undefined && { NextToken: token }),
      });
      const answer = await call(
        context,
        {
          operation: 'DescribeInstanceInformation',
          send: (credentials, abortSignal) =>
            clientOf(context, credentials, options).send(command, { abortSignal }),
        },
        options,
      );
      for (const entry of answer.InstanceInformationList ?? []) {
        if (entry.InstanceId !== undefined) statuses.set(entry.InstanceId, statusOf(entry));
      }
      token = answer.NextToken;
      if (token === undefined || token === '') break;
    }
    return statuses;
  } catch (error) {
    if (!(error instanceof ProxyError) || error.code !== 'ACCESS_DENIED') throw error;
    return new Map(instanceIds.map((id) => [id, { status: 'unknown' }]));
  }
}

function statusOf(entry: InstanceInformation): AgentStatus {
  return {
    status: PING_STATES[entry.PingStatus ?? ''] ?? 'unknown',
    ...(entry.AgentVersion !== undefined && { agentVersion: entry.AgentVersion }),
    ...(entry.LastPingDateTime !== undefined && { lastPing: entry.LastPingDateTime }),
    ...(entry.PlatformType !== undefined && { platform: entry.PlatformType }),
    ...(entry.ComputerName !== undefined && { computerName: entry.ComputerName }),
    ...(entry.IPAddress !== undefined && { ipAddress: entry.IPAddress }),
  };
}
