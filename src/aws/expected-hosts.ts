/**
 * The hosts that a connection is going to talk to, known before the SDK is loaded, so that connecting may start. A wrong
 * guess costs a connection that nobody uses; so only what is sure or harmless is named.
 */
import { isLoopback, splitUrl } from '../transport/raw-url.ts';
import type { AwsContext } from './context.ts';

/** The parts of a context that say where its calls go. */
export type Places = Pick<AwsContext, 'region' | 'endpoint' | 'hasSpecialEndpoints'>;

/** Regions of the commercial, the China and the GovCloud partition. Others have domains of their own. */
const KNOWN_REGION = /^(?:us-gov|[a-z]{2})-[a-z]+-\d+$/;

/** URL of an API's endpoint; undefined when only the SDK knows. */
export function expectedApi(places: Places, service: 'EC2' | 'SSM'): string | undefined {
  return places.endpoint(service) ?? regionalHost(places, service.toLowerCase());
}

/**
 * URL of the data channel's host. StartSession has the last word: its stream URL may name another host. Behind an SSM
 * endpoint on this machine (an emulator) that is expected to be the same; behind a VPC endpoint it is the region's own.
 */
export function expectedChannel(places: Places): string | undefined {
  const own = places.endpoint('SSMMESSAGES');
  if (own !== undefined) return own;
  const api = places.endpoint('SSM');
  if (api !== undefined && isLoopback(splitUrl(api)?.hostname ?? '')) return api;
  return regionalHost(places, 'ssmmessages');
}

function regionalHost({ region, hasSpecialEndpoints }: Places, name: string): string | undefined {
  if (hasSpecialEndpoints || !KNOWN_REGION.test(region)) return undefined;
  return `https://${name}.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}
