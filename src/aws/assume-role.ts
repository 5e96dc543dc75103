/** AssumeRole, with the credentials of a context. Loaded only where a role is asked for. */
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { ProxyError } from '../errors.ts';
import { call } from './call.ts';
import { clientCache } from './client-cache.ts';
import type { AwsContext } from './context.ts';
import type { AwsCredentials } from './credential-store.ts';

const stsOf = clientCache('STS', (config) => new STSClient(config));

/** For the time that STS gives without being asked: an hour. ACCESS_DENIED and the errors of every call. */
export async function assumeRole(
  context: AwsContext,
  RoleArn: string,
  RoleSessionName: string,
): Promise<AwsCredentials> {
  const command = new AssumeRoleCommand({ RoleArn, RoleSessionName });
  const { Credentials } = await call(
    context,
    {
      operation: 'AssumeRole',
      send: (credentials, abortSignal) => stsOf(context, credentials, {}).send(command, { abortSignal }),
    },
    {},
  );
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = Credentials ?? {};
  if (AccessKeyId === undefined || SecretAccessKey === undefined || SessionToken === undefined) {
    throw new ProxyError('SERVICE_ERROR', 'AssumeRole answered without credentials');
  }
  const [, accountId] = /^arn:[^:]+:iam::(\d{12}):/.exec(RoleArn) ?? [];
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
    ...(Expiration !== undefined && { expiration: Expiration }),
    ...(accountId !== undefined && { accountId }),
  };
}
