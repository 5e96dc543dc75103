/**
 * SDK clients, one per context, made anew when the credentials change: a client keeps what its credential function
 * first answered, and a session may outlive many sets of credentials.
 */
import type { AwsContext } from './context.ts';
import type { AwsCredentials } from './credentials.ts';

export function clientCache<Client>(
  create: (context: AwsContext, credentials: AwsCredentials) => Client,
): (context: AwsContext, credentials: AwsCredentials) => Client {
  const cache = new WeakMap<AwsContext, { readonly credentials: AwsCredentials; readonly client: Client }>();
  return (context, credentials) => {
    const kept = cache.get(context);
    if (kept?.credentials === credentials) return kept.client;
    const client = create(context, credentials);
    cache.set(context, { credentials, client });
    return client;
  };
}
