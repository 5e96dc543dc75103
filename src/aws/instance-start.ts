/** EC2 StartInstances for one instance. Beside ec2.ts, so that whoever only looks instances up does not load it. */
import { EC2Client, StartInstancesCommand } from '@aws-sdk/client-ec2';
import { ProxyError } from '../errors.ts';
import type { CallOptions } from './call.ts';
import { call } from './call.ts';
import { clientCache } from './client-cache.ts';
import type { AwsContext } from './context.ts';
import { serviceErrorOf } from './errors.ts';

const clientOf = clientCache('EC2', (config) => new EC2Client(config));

/**
 * True: it is starting, or running already. False: it is in a state from which it cannot be started just now, such as
 * `stopping`. ACCESS_DENIED, SERVICE_ERROR (no capacity, for one) and the errors of every call.
 */
export async function startInstance(
  context: AwsContext,
  instanceId: string,
  options: CallOptions = {},
): Promise<boolean> {
  const command = new StartInstancesCommand({ InstanceIds: [instanceId] });
  try {
    await call(
      context,
      {
        operation: 'StartInstances',
        send: (credentials, abortSignal) =>
          clientOf(context, credentials, options).send(command, { abortSignal }),
      },
      options,
    );
    return true;
  } catch (error) {
    if (error instanceof ProxyError && serviceErrorOf(error.cause)?.code === 'IncorrectInstanceState')
      return false;
    throw error;
  }
}
