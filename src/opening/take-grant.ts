/**
 * A session that somebody else has started, such as the AWS CLI: what getIn finds and starts is given, and only the
 * AWS side of it is put together, for resuming, ending and encrypting it.
 */
import { createAwsContext } from '../aws/context.ts';
import { effectiveStreamUrl } from '../aws/stream-host.ts';
import type { ContextRequest } from '../contexts.ts';
import type { Log } from '../log.ts';
import type { GrantedSession } from '../open-session.ts';
import type { Started } from './get-in.ts';

/** REGION_MISSING, PROFILE_NOT_FOUND, CONFIG_INVALID, USAGE. */
export async function takeGrant(
  { grant, targetId, ssmEndpoint }: GrantedSession,
  request: ContextRequest,
  { env, log }: { readonly env: NodeJS.ProcessEnv; readonly log: Log },
): Promise<Started> {
  const { regions, profile, endpointUrl, ssmmessagesEndpoint } = request;
  const context = await createAwsContext({
    ...{ profile, endpointUrl, ssmEndpoint, ssmmessagesEndpoint, env },
    region: regions?.[0],
    log: log.child('aws'),
  });
  const streamUrl = effectiveStreamUrl(context, grant.streamUrl);
  return { context, targetId, grant: { ...grant, streamUrl } };
}
