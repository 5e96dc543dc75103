/** How IAM Identity Center is reached: endpoints, proxy and trust as the chosen profile has them. No credentials. */
import { readConfigFiles } from '../aws/config-files.ts';
import type { ConfigFiles } from '../aws/config-files.ts';
import type { ClientSettings } from '../aws/endpoints.ts';
import { clientSettings, configuredEndpoint } from '../aws/endpoints.ts';
import { selectProfile } from '../aws/profile.ts';
import type { Profile } from '../aws/profile.ts';
import type { ClockSkew } from '../aws/api-timeouts.ts';
import { API_TIMEOUTS } from '../aws/api-timeouts.ts';
import { SdkRequestHandler } from '../aws/request-handler.ts';
import type { SdkLogger } from '../aws/sdk-logger.ts';
import { sdkLogger, silenceVersionWarning } from '../aws/sdk-logger.ts';
import type { Log } from '../log.ts';
import { createNetwork } from '../transport/network.ts';
import type { Network } from '../transport/network.ts';
import { VERSION } from '../version.ts';
import { SsoCache } from './token-cache.ts';

export interface SsoAccessSettings {
  readonly profile: string | undefined;
  /** `--endpoint-url`. */
  readonly endpointUrl: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
}

/** Settings of an SDK client whose calls are not signed. */
export interface UnsignedClientConfig extends ClientSettings {
  readonly region: string;
  readonly endpoint?: string;
  readonly ignoreConfiguredEndpointUrls: true;
  readonly credentials: () => Promise<never>;
  readonly requestHandler: SdkRequestHandler;
  readonly logger: SdkLogger;
  readonly customUserAgent: [string, string][];
  readonly authSchemePreference: string[];
}

export interface SsoAccess {
  readonly files: ConfigFiles;
  readonly profile: Profile;
  readonly cache: SsoCache;
  readonly network: Network;
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  clientConfig(service: 'SSO' | 'SSO_OIDC', region: string): UnsignedClientConfig;
  /** Closes idle connections. */
  close(): void;
}

/** PROFILE_NOT_FOUND, CONFIG_INVALID, USAGE. */
export function createSsoAccess(settings: SsoAccessSettings): SsoAccess {
  const { env, log, endpointUrl } = settings;
  const files = readConfigFiles(env);
  const profile = selectProfile(settings.profile, env, files);
  const client = clientSettings(env, profile.settings);
  const network = createNetwork(env, { caBundle: profile.settings['ca_bundle'] });
  const skew: ClockSkew = { offsetMs: 0 };
  return {
    files,
    profile,
    cache: new SsoCache(env),
    network,
    log,
    env,
    clientConfig(service, region) {
      silenceVersionWarning();
      const inputs = { endpointUrl, ssmmessagesEndpoint: undefined, env, settings: profile.settings, files };
      const endpoint = configuredEndpoint(service, inputs);
      return {
        ...client,
        region,
        ...(endpoint !== undefined && { endpoint }),
        ignoreConfiguredEndpointUrls: true,
        // None of these calls is signed: nothing may go looking for credentials.
        credentials: () => Promise.reject(new Error('calls of SSO are not signed')),
        requestHandler: new SdkRequestHandler({ network, timeouts: API_TIMEOUTS, skew, log }),
        logger: sdkLogger(log),
        customUserAgent: [['ssm-proxy', VERSION]],
        authSchemePreference: [],
      };
    },
    close: () => network.close(),
  };
}
