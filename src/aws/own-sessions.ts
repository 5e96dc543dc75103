/** What Session Manager knows of the caller's own sessions. */
import { DescribeSessionsCommand, SSMClient } from '@aws-sdk/client-ssm';
import type { DescribeSessionsCommandOutput, Session } from '@aws-sdk/client-ssm';
import type { CallOptions } from './call.ts';
import { call } from './call.ts';
import { callerIdentity } from './caller-identity.ts';
import { clientCache } from './client-cache.ts';
import type { AwsContext } from './context.ts';

export interface OwnSession {
  readonly sessionId: string;
  readonly instanceId: string;
  /** As AWS names it: `Connected`, `Connecting`, `Disconnected`. */
  readonly status: string;
  readonly startedAt: Date | undefined;
  readonly reason: string | undefined;
}

/** The API's own limit. */
const PAGE_SESSIONS = 200;
/** 10,000 sessions of one caller: more than AWS lets anybody start. */
const MAX_PAGES = 50;

const ssmOf = clientCache('SSM', (config) => new SSMClient(config));

/** The caller's sessions that have not ended and are not ending. ACCESS_DENIED, CREDENTIALS_*, ENDPOINT_UNREACHABLE and others. */
export async function ownSessions(
  context: AwsContext,
  options: CallOptions = {},
): Promise<readonly OwnSession[]> {
  // Of the user or assumed role: what DescribeSessions has as the owner.
  const { arn: owner } = await callerIdentity(context, options);
  const found: OwnSession[] = [];
  let nextToken: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const command = new DescribeSessionsCommand({
      State: 'Active',
      Filters: [{ key: 'Owner', value: owner }],
      MaxResults: PAGE_SESSIONS,
      ...(nextToken !== undefined && { NextToken: nextToken }),
    });
    const answer = await describeSessions(context, command, options);
    found.push(...(answer.Sessions ?? []).flatMap(ownSession));
    nextToken = answer.NextToken;
    if (nextToken === undefined || nextToken === '') break;
  }
  return found;
}

/** True when AWS says that the session has ended; false when it does not know it (any more), or not as ended. */
export async function hasEnded(
  context: AwsContext,
  sessionId: string,
  options: CallOptions = {},
): Promise<boolean> {
  const command = new DescribeSessionsCommand({
    State: 'History',
    Filters: [{ key: 'SessionId', value: sessionId }],
  });
  const answer = await describeSessions(context, command, options);
  return (answer.Sessions ?? []).some((session) => session.SessionId === sessionId);
}

function describeSessions(
  context: AwsContext,
  command: DescribeSessionsCommand,
  options: CallOptions,
): Promise<DescribeSessionsCommandOutput> {
  return call(
    context,
    {
      operation: 'DescribeSessions',
      send: (credentials, abortSignal) => ssmOf(context, credentials, options).send(command, { abortSignal }),
    },
    options,
  );
}

function ownSession(session: Session): OwnSession[] {
  if (session.SessionId === undefined || session.Status === 'Terminating') return [];
  return [
    {
      sessionId: session.SessionId,
      instanceId: session.Target ?? '',
      status: session.Status ?? '',
      startedAt: session.StartDate,
      reason: session.Reason,
    },
  ];
}
