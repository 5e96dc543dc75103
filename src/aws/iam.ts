/** Calls of IAM, which is global: the region of the context only decides which partition. */
import { IAMClient } from '@aws-sdk/client-iam';
import type { CallOptions } from './call.ts';
import { call } from './call.ts';
import { clientCache } from './client-cache.ts';
import type { AwsContext } from './context.ts';
import type { AwsCredentials } from './credential-store.ts';

const clientOf = clientCache('IAM', (config) => new IAMClient(config));

/** ACCESS_DENIED and the errors of every call. */
export function callIam<T>(
  context: AwsContext,
  operation: string,
  options: CallOptions,
  perform: (client: IAMClient, abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  return call(
    context,
    {
      operation,
      send: (credentials: AwsCredentials, abortSignal) =>
        perform(clientOf(context, credentials, options), abortSignal),
    },
    options,
  );
}
