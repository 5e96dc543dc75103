/** EC2 Instance Connect: a public key on a node, for one user and 60 s. The only file that knows its client. */
import { EC2InstanceConnectClient, SendSSHPublicKeyCommand } from '@aws-sdk/client-ec2-instance-connect';
import { ProxyError } from '../errors.ts';
import type { CallOptions } from './call.ts';
import { call } from './call.ts';
import { clientCache } from './client-cache.ts';
import type { AwsContext } from './context.ts';

export interface PublicKeyRequest {
  readonly instanceId: string;
  /** User of the node's operating system. */
  readonly user: string;
  /** As in authorized_keys: type and base64, perhaps a comment. */
  readonly publicKey: string;
}

const clientOf = clientCache('EC2_INSTANCE_CONNECT', (config) => new EC2InstanceConnectClient(config));

/** TARGET_NOT_FOUND, TARGET_STOPPED (or not running yet), ACCESS_DENIED, THROTTLED and the errors of every call. */
export async function sendPublicKey(
  context: AwsContext,
  { instanceId, user, publicKey }: PublicKeyRequest,
  options: CallOptions = {},
): Promise<void> {
  const command = new SendSSHPublicKeyCommand({
    InstanceId: instanceId,
    InstanceOSUser: user,
    SSHPublicKey: publicKey,
  });
  const answer = await call(
    context,
    {
      operation: 'SendSSHPublicKey',
      send: (credentials, abortSignal) =>
        clientOf(context, credentials, options).send(command, { abortSignal }),
    },
    options,
  );
  if (answer.Success !== true) {
    throw new ProxyError('SERVICE_ERROR', `EC2 Instance Connect did not take the key for ${instanceId}`);
  }
}
