/**
 * One AWS identity and region: what flags, environment and config files say, put together once and given to every
 * call. Nothing is sent before credentials are asked for, except to the instance metadata service when no region is
 * set anywhere.
 */
import type { Log } from '../log.ts';
import { createNetwork } from '../transport/network.ts';
import type { Network } from '../transport/network.ts';
import type { ApiTimeouts, ClockSkew } from './api-timeouts.ts';
import { API_TIMEOUTS } from './api-timeouts.ts';
import { readConfigFiles } from './config-files.ts';
import type { AwsCredentials } from './credential-store.ts';
import { CredentialStore } from './credential-store.ts';
import { ProfileCredentials } from './credentials.ts';
import type { ProviderEnvironment } from './provider-environment.ts';
import type { EndpointInputs, EndpointService } from './endpoints.ts';
import { clientSettings, configuredEndpoint } from './endpoints.ts';
import { selectProfile } from './profile.ts';
import type { RegionSource } from './region.ts';
import { checkRegion, chooseRegion } from './region.ts';
import { RoleCredentials } from './role-credentials.ts';
import type { RequestParts } from './request-handler.ts';
import type { SdkClientConfig } from './sdk-client.ts';
import { sdkLogger, silenceVersionWarning } from './sdk-logger.ts';
import { VERSION } from '../version.ts';

export type { AwsCredentials } from './credential-store.ts';

export interface AwsSettings {
  /** `--region`. */
  readonly region?: string | undefined;
  /** Region that the target's DNS name tells: after `region`, before environment and profile. */
  readonly targetRegion?: string | undefined;
  /** `--profile`. */
  readonly profile?: string | undefined;
  /** `--role`: ARN of a role, assumed with the credentials that would else be used. */
  readonly role?: string | undefined;
  /** `--endpoint-url`, for every API call. */
  readonly endpointUrl?: string | undefined;
  /** For the calls to SSM alone; before `endpointUrl`. */
  readonly ssmEndpoint?: string | undefined;
  /** `--ssmmessages-endpoint`. */
  readonly ssmmessagesEndpoint?: string | undefined;
  /** Normally process.env; see credentials.ts for what the SDK reads from there whatever is given here. */
  readonly env: NodeJS.ProcessEnv;
  /** Gives the SDK's providers `env` when that is not process.env. */
  readonly providerEnvironment?: ProviderEnvironment | undefined;
  readonly log: Log;
  readonly timeouts?: ApiTimeouts;
}

export interface AwsContext {
  readonly region: string;
  /** Where the region came from. */
  readonly regionSource: RegionSource;
  /** Name of the profile, undefined when nobody named one. */
  readonly profile: string | undefined;
  /** ARN of the role that was assumed beyond what the profile says. */
  readonly role: string | undefined;
  readonly network: Network;
  readonly log: Log;
  /** From the provider chain; cached until shortly before they expire. CREDENTIALS_*, CONFIG_INVALID and others. */
  credentials(): Promise<AwsCredentials>;
  /** Those that can be had without asking anybody, if there are any. */
  readyCredentials(): AwsCredentials | undefined;
  /** From the provider chain, read again from scratch. */
  freshCredentials(): Promise<AwsCredentials>;
  /** The last resolved credentials, if they have not expired. */
  cachedCredentials(): AwsCredentials | undefined;
  /** Endpoint that flags, environment or config set for a service; undefined for the region's own. */
  endpoint(service: EndpointService): string | undefined;
  /** True when the region's own endpoints are FIPS or dual-stack ones. */
  readonly hasSpecialEndpoints: boolean;
  /** For an SDK client of this service; its request handler is made from `requestParts` (client-cache.ts). */
  clientConfig(
    service: EndpointService,
    credentials: AwsCredentials,
  ): Omit<SdkClientConfig, 'requestHandler'>;
  readonly requestParts: RequestParts;
  /** Now, by the clock of AWS as far as its answers have told. For signatures. */
  signingDate(): Date;
  /** Another region with the same identity and network. */
  withRegion(region: string): AwsContext;
  /** Closes idle connections, for this context and those made from it. */
  close(): void;
}

/** Who calls. */
interface Identity {
  readonly store: CredentialStore;
  readonly role: string | undefined;
}

/** REGION_MISSING, PROFILE_NOT_FOUND, CONFIG_INVALID, USAGE. */
export async function createAwsContext(settings: AwsSettings): Promise<AwsContext> {
  const { env, log } = settings;
  const files = readConfigFiles(env);
  const profile = selectProfile(settings.profile, env, files);
  const chosen = await chooseRegion({
    flag: settings.region,
    target: settings.targetRegion,
    env,
    profile,
    files,
  });
  const endpoints: EndpointInputs = {
    endpointUrl: settings.endpointUrl,
    ssmEndpoint: settings.ssmEndpoint,
    ssmmessagesEndpoint: settings.ssmmessagesEndpoint,
    env,
    settings: profile.settings,
    files,
  };
  const client = clientSettings(env, profile.settings);
  const network = createNetwork(env, { caBundle: profile.settings['ca_bundle'] });
  const timeouts = settings.timeouts ?? API_TIMEOUTS;
  const skew: ClockSkew = { offsetMs: 0 };
  const own = new ProfileCredentials({
    env,
    providerEnvironment: settings.providerEnvironment,
    profile,
    files,
    region: chosen.region,
    endpointOf: (service) => configuredEndpoint(service, endpoints),
    client,
    timeouts,
    network,
    skew,
    log,
  });
  log.debug('context', { region: chosen.region, from: chosen.source, profile: profile.name });

  const create = (region: string, regionSource: RegionSource, identity: Identity): AwsContext => ({
    region,
    regionSource,
    role: identity.role,
    profile: profile.namedBy === undefined ? undefined : profile.name,
    network,
    log,
    credentials: () => identity.store.get(),
    readyCredentials: () => identity.store.ready,
    freshCredentials: () => identity.store.refresh(),
    cachedCredentials: () => identity.store.current,
    endpoint: (service) => configuredEndpoint(service, endpoints),
    hasSpecialEndpoints: client.useFipsEndpoint || client.useDualstackEndpoint,
    requestParts: { network, timeouts, skew, log },
    clientConfig(service, credentials) {
      silenceVersionWarning();
      const endpoint = configuredEndpoint(service, endpoints);
      return {
        ...client,
        region,
        ...(endpoint !== undefined && { endpoint }),
        ignoreConfiguredEndpointUrls: true,
        credentials,
        logger: sdkLogger(log),
        customUserAgent: [['ssm-proxy', VERSION]],
        authSchemePreference: [],
        disableClockSkewCorrection: () => Promise.resolve(false),
      };
    },
    signingDate: () => new Date(Date.now() + skew.offsetMs),
    withRegion(other) {
      checkRegion(other, 'flag');
      return create(other, 'flag', identity);
    },
    close: () => network.close(),
  });
  const ownStore = new CredentialStore(own, log);
  const base = create(chosen.region, chosen.source, { store: ownStore, role: undefined });
  const { role } = settings;
  if (role === undefined) return base;
  const store = new CredentialStore(
    new RoleCredentials({ roleArn: role, base, baseName: own.name, env }),
    log,
  );
  return create(chosen.region, chosen.source, { store, role });
}
