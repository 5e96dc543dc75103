/**
 * The region: flag, the target's own name, AWS_REGION, AWS_DEFAULT_REGION, the profile, and on an EC2 instance at
 * last the instance's own, as AWS CLI v2 does.
 */
import type { request as httpRequest } from 'node:http';
import { ProxyError } from '../errors.ts';
import type { ConfigFiles } from './config-files.ts';
import type { Profile } from './profile.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type RegionSource = 'flag' | 'target' | 'AWS_REGION' | 'AWS_DEFAULT_REGION' | 'profile' | 'metadata';

export interface ChosenRegion {
  readonly region: string;
  readonly source: RegionSource;
}

/** For each of the two requests to the metadata service: off EC2 nothing answers there. Milliseconds. */
const METADATA_TIMEOUT_MS = 1_000;
/** Longest list of profiles in a hint. */
const MAX_LISTED = 10;
const MAX_METADATA_BYTES = 4096;
const TOKEN_TTL_SECONDS = '60';

export interface RegionInputs {
  readonly flag: string | undefined;
  /** The region that the target's DNS name tells. */
  readonly target: string | undefined;
  readonly env: Environment;
  readonly profile: Profile;
  readonly files: ConfigFiles;
}

/** REGION_MISSING if there is none; USAGE or CONFIG_INVALID for text that cannot be a region. */
export async function chooseRegion(inputs: RegionInputs): Promise<ChosenRegion> {
  const { flag, target, env, profile } = inputs;
  const candidates: readonly (readonly [RegionSource, string | undefined])[] = [
    ['flag', flag],
    ['target', target],
    ['AWS_REGION', env['AWS_REGION']],
    ['AWS_DEFAULT_REGION', env['AWS_DEFAULT_REGION']],
    ['profile', profile.settings['region']],
  ];
  for (const [source, region] of candidates) {
    if (region === undefined || region === '') continue;
    checkRegion(region, source);
    return { region, source };
  }
  const region = await instanceRegion(env);
  if (region !== undefined) return { region, source: 'metadata' };
  throw regionMissing(inputs);
}

/** A region becomes part of host names: letters, digits and hyphens only. */
export function checkRegion(region: string, source: RegionSource): void {
  if (/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(region)) return;
  const shown = JSON.stringify(region.slice(0, 60));
  if (source === 'flag') throw new ProxyError('USAGE', `${shown} is not the name of a region`);
  const origin = source === 'profile' ? 'region in the profile' : source;
  throw new ProxyError('CONFIG_INVALID', `${origin} is ${shown}, which is not the name of a region`);
}

function regionMissing({ profile, files }: RegionInputs): ProxyError {
  const withRegion = [...files.profiles]
    .filter(([, settings]) => settings['region'] !== undefined)
    .map(([name, settings]) => `${name} (${settings['region'] ?? ''})`)
    .sort()
    .slice(0, MAX_LISTED);
  const existing = withRegion.length === 0 ? '' : `; profiles with a region: ${withRegion.join(', ')}`;
  return new ProxyError('REGION_MISSING', `no AWS region is set, and profile ${profile.name} has none`, {
    hint: ['use --region, AWS_REGION, or region = ... in the profile' + existing, ...files.problems].join(
      '; ',
    ),
  });
}

/** Region of the EC2 instance that we run on; undefined elsewhere. Takes at most two timeouts. */
async function instanceRegion(env: Environment): Promise<string | undefined> {
  if (env['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true') return undefined;
  const base = metadataEndpoint(env);
  if (base === undefined) return undefined;
  try {
    // Loaded only here: this file is read before the first packet leaves.
    const { request } = await import('node:http');
    const ask = askWith(request);
    const token = await ask(base, 'PUT', '/latest/api/token', {
      'x-aws-ec2-metadata-token-ttl-seconds': TOKEN_TTL_SECONDS,
    });
    const region = await ask(base, 'GET', '/latest/meta-data/placement/region', {
      'x-aws-ec2-metadata-token': token,
    });
    return /^[a-z0-9-]{1,63}$/.test(region) ? region : undefined;
  } catch {
    return undefined;
  }
}

function metadataEndpoint(env: Environment): URL | undefined {
  const given = env['AWS_EC2_METADATA_SERVICE_ENDPOINT'];
  const isIpv6 = env['AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE']?.toLowerCase() === 'ipv6';
  try {
    return new URL(given ?? (isIpv6 ? 'http://[fd00:ec2::254]' : 'http://169.254.169.254'));
  } catch {
    return undefined;
  }
}

/** Straight to the service, never through a proxy: the address is link-local. */
function askWith(request: typeof httpRequest) {
  return (base: URL, method: string, path: string, headers: Record<string, string>): Promise<string> =>
    new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(METADATA_TIMEOUT_MS);
      const sent = request(new URL(path, base), { method, headers, agent: false, signal }, (response) => {
        let text = '';
        response.setEncoding('latin1');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > MAX_METADATA_BYTES) sent.destroy(new Error('answer too long'));
        });
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text.trim());
          else reject(new Error(`HTTP ${String(response.statusCode)}`));
        });
      });
      sent.on('error', reject);
      sent.end();
    });
}
