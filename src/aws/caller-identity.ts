/** Whose credentials these are, as AWS says. The only file that knows the STS client for this. */
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { ProxyError } from '../errors.ts';
import type { CallOptions } from './call.ts';
import { call } from './call.ts';
import { clientCache } from './client-cache.ts';
import type { AwsContext } from './context.ts';

export interface CallerIdentity {
  /** Twelve digits. */
  readonly account: string;
  /** Of the user, or of the assumed role with the session's name. */
  readonly arn: string;
  /** What `${aws:userid}` stands for in policies. */
  readonly userId: string;
}

const stsOf = clientCache('STS', (config) => new STSClient(config));

/** Needs no permission. CREDENTIALS_*, ENDPOINT_UNREACHABLE and others. */
export async function callerIdentity(
  context: AwsContext,
  options: CallOptions = {},
): Promise<CallerIdentity> {
  const command = new GetCallerIdentityCommand({});
  const answer = await call(
    context,
    {
      operation: 'GetCallerIdentity',
      send: (credentials, abortSignal) => stsOf(context, credentials, options).send(command, { abortSignal }),
    },
    options,
  );
  const { Account: account, Arn: arn, UserId: userId } = answer;
  if (account === undefined || arn === undefined || userId === undefined) {
    throw new ProxyError('SERVICE_ERROR', 'GetCallerIdentity answered without account, ARN and user ID');
  }
  return { account, arn, userId };
}
