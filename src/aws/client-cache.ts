/**
 * SDK clients, one per context, made anew when the credentials change: a client keeps what its credential function
 * first answered, and a session may outlive many sets of credentials.
 */
import type { EndpointService } from './endpoints.ts';
import type { AwsContext } from './context.ts';
import type { AwsCredentials } from './credential-store.ts';
import type { CallOptions } from './call.ts';
import { SdkRequestHandler } from './request-handler.ts';
import type { SdkClientConfig } from './sdk-client.ts';

interface Kept<Client> {
  readonly credentials: AwsCredentials;
  readonly client: Client;
}

/** Clients for single attempts are other ones: the number of attempts belongs to the client. */
export function clientCache<Client>(
  service: EndpointService,
  create: (config: SdkClientConfig) => Client,
): (context: AwsContext, credentials: AwsCredentials, options: CallOptions) => Client {
  const single = new WeakMap<AwsContext, Kept<Client>>();
  const retrying = new WeakMap<AwsContext, Kept<Client>>();
  return (context, credentials, { isSingle = false }) => {
    const cache = isSingle ? single : retrying;
    const kept = cache.get(context);
    if (kept?.credentials === credentials) return kept.client;
    const config = {
      ...context.clientConfig(service, credentials),
      requestHandler: new SdkRequestHandler(context.requestParts),
    };
    const client = create(isSingle ? { ...config, maxAttempts: 1 } : config);
    cache.set(context, { credentials, client });
    return client;
  };
}
