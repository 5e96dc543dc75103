/**
 * Where a target may be: one AWS context for each profile and region to search. With neither given there is one, which
 * the AWS configuration names.
 */
import { readConfigFiles } from './aws/config-files.ts';
import type { AwsContext, AwsSettings } from './aws/context.ts';
import { createAwsContext } from './aws/context.ts';
import type { ProviderEnvironment } from './aws/provider-environment.ts';
import { ALL_REGIONS, REGION_TO_ASK, enabledRegions } from './aws/regions.ts';
import { parseTarget, regionOf } from './aws/target.ts';
import { asProxyError } from './errors.ts';
import type { Log } from './log.ts';

export interface ContextRequest {
  /** Regions to search, or `all`; undefined: the one that the AWS configuration names. */
  readonly regions: readonly string[] | undefined;
  /** Several are separated by commas; undefined: the one that the AWS configuration names. */
  readonly profile: string | undefined;
  /** ARN of a role to assume with the credentials of each profile; undefined: none. */
  readonly role: string | undefined;
  readonly endpointUrl: string | undefined;
  readonly ssmmessagesEndpoint: string | undefined;
}

export interface ContextDependencies {
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  /** The region that the target's name tells. */
  readonly targetRegion?: string | undefined;
  /** For a process that serves several environments; default: `env` is process.env. */
  readonly providerEnvironment?: ProviderEnvironment | undefined;
  /** Ends the question for the account's regions. */
  readonly signal?: AbortSignal | undefined;
  /** Default: EC2 is asked. */
  readonly listRegions?: typeof enabledRegions | undefined;
}

/**
 * Profiles in the order given, and the regions of each. REGION_MISSING, PROFILE_NOT_FOUND, CONFIG_INVALID, USAGE; for
 * all regions also the errors of DescribeRegions.
 */
export async function createContexts(
  request: ContextRequest,
  dependencies: ContextDependencies,
): Promise<AwsContext[]> {
  const profiles = profilesOf(request.profile, dependencies.env);
  const contexts = await Promise.all(
    profiles.map((profile) => contextsOfProfile({ ...request, profile }, dependencies)),
  );
  return contexts.flat();
}

/** Several regions or profiles are to be searched, as far as can be told without asking. */
export function hasManyPlaces({
  regions = [],
  profile = '',
}: Pick<ContextRequest, 'regions' | 'profile'>): boolean {
  return regions.length > 1 || regions.includes(ALL_REGIONS) || profile.includes(',');
}

/** The same, for a target whose name may tell its region. */
export function targetContexts(
  request: ContextRequest & { readonly target: string },
  dependencies: ContextDependencies,
): Promise<AwsContext[]> {
  return createContexts(request, { ...dependencies, targetRegion: regionOf(parseTarget(request.target)) });
}

/** A name with commas in it that exists is one profile. */
function profilesOf(text: string | undefined, env: NodeJS.ProcessEnv): readonly (string | undefined)[] {
  if (text === undefined || !text.includes(',') || readConfigFiles(env).profiles.has(text)) return [text];
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return names.length === 0 ? [undefined] : [...new Set(names)];
}

async function contextsOfProfile(
  { regions, profile, role, endpointUrl, ssmmessagesEndpoint }: ContextRequest,
  { env, log, targetRegion, providerEnvironment, signal, listRegions = enabledRegions }: ContextDependencies,
): Promise<readonly AwsContext[]> {
  const settings = {
    ...{ targetRegion, profile, role, endpointUrl, ssmmessagesEndpoint, env, providerEnvironment },
    log: log.child('aws'),
  };
  if (regions?.includes(ALL_REGIONS) === true) {
    const context = await contextToAsk(settings);
    // The name tells the region: no need to ask which there are.
    if (targetRegion !== undefined) return [context.withRegion(targetRegion)];
    return (await listRegions(context, { signal })).map((region) => context.withRegion(region));
  }
  const [region, ...others] = [...new Set(regions ?? [])];
  const context = await createAwsContext({ ...settings, region });
  return [context, ...others.map((other) => context.withRegion(other))];
}

/** In the configured region, or in one that every account has. */
async function contextToAsk(settings: AwsSettings): Promise<AwsContext> {
  try {
    return await createAwsContext(settings);
  } catch (thrown) {
    if (asProxyError(thrown).code !== 'REGION_MISSING') throw thrown;
    return createAwsContext({ ...settings, region: REGION_TO_ASK });
  }
}
