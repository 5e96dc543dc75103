/**
 * AWS credentials, from wherever the AWS CLI would take them: environment, shared files (static keys, assume-role,
 * credential_process, SSO with refresh, web identity), container and instance metadata. The SDK's providers do the
 * work; they are loaded only when the environment holds no keys.
 *
 * Order. Keys in the environment go before AWS_PROFILE and after --profile, as in the AWS CLI (today's JS SDK lets
 * AWS_PROFILE win and prints a warning about it). A profile that names a source of credentials is the only one
 * tried: the SDK would go on from a failed credential_process to the instance's role, another identity.
 *
 * Keys in the environment, keys in a profile and what the AWS CLI has kept (credential-cache.ts) need no provider.
 *
 * The SDK's providers read process.env, not an `env` given to us; only keys in the environment, the profile and the
 * places of the shared files are taken from that, unless they are lent it (provider-environment.ts).
 */
import { sinceStartMs } from '../clock.ts';
import type { Log } from '../log.ts';
import { ProxyError } from '../errors.ts';
import type { Network } from '../transport/network.ts';
import type { ApiTimeouts, ClockSkew } from './api-timeouts.ts';
import type { ConfigFiles } from './config-files.ts';
import type { ClientSettings } from './endpoints.ts';
import { credentialCacheFile, readCachedCredentials, writeCachedCredentials } from './credential-cache.ts';
import type { IniSection } from './ini-file.ts';
import type { AwsCredentials, CredentialSource } from './credential-store.ts';
import { timeLeftMs } from './credential-store.ts';
import type { Profile } from './profile.ts';
import { describeProfiles, namesCredentials, profileChain } from './profile.ts';
import type { ProviderEnvironment } from './provider-environment.ts';
import { sdkLogger, silenceVersionWarning } from './sdk-logger.ts';

export interface CredentialsSettings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly providerEnvironment: ProviderEnvironment | undefined;
  readonly profile: Profile;
  readonly files: ConfigFiles;
  readonly region: string;
  /** Configured endpoint of a service that the providers call. */
  readonly endpointOf: (service: 'STS' | 'SSO' | 'SSO_OIDC') => string | undefined;
  readonly client: ClientSettings;
  readonly timeouts: ApiTimeouts;
  readonly network: Network;
  readonly skew: ClockSkew;
  readonly log: Log;
}

/** What a profile and the environment give, for a CredentialStore. */
export class ProfileCredentials implements CredentialSource {
  readonly #settings: CredentialsSettings;

  constructor(settings: CredentialsSettings) {
    this.#settings = settings;
  }

  /** Whose they are, as far as that is known without asking: the key of the environment, or the profile. */
  get name(): string {
    const { env, profile } = this.#settings;
    const key = profile.namedBy === 'flag' ? undefined : env['AWS_ACCESS_KEY_ID'];
    return key ? `key ${key}` : `profile ${profile.name}`;
  }

  /** From the environment, the profile itself or the AWS CLI's cache. Throws as `fetch`. */
  local(): AwsCredentials | undefined {
    const { profile, env, log } = this.#settings;
    const local = this.#fromEnvironment() ?? profileKeys(profile.settings) ?? this.#fromCache();
    if (local === undefined || timeLeftMs(local) <= 0) return undefined;
    const source =
      profile.namedBy !== 'flag' && env['AWS_ACCESS_KEY_ID'] ? 'environment' : `profile ${profile.name}`;
    log.debug('credentials', { source, expires: local.expiration?.toISOString() });
    return local;
  }

  #fromEnvironment(): AwsCredentials | undefined {
    const { env, profile } = this.#settings;
    return profile.namedBy === 'flag' ? undefined : environmentKeys(env);
  }

  #fromCache(): AwsCredentials | undefined {
    const file = this.#cacheFile;
    return file === undefined ? undefined : readCachedCredentials(file, Date.now());
  }

  get #cacheFile(): string | undefined {
    const { profile, env, files } = this.#settings;
    // Settings that cannot work are not to be covered by what once did.
    profileChain(profile.name, files);
    return credentialCacheFile(profile.settings, env);
  }

  async fetch(): Promise<AwsCredentials> {
    const { profile, log } = this.#settings;
    const startedAt = sinceStartMs();
    const { env, providerEnvironment } = this.#settings;
    // Keys in the profile are read again, too: by the provider, from the file.
    const keys = this.#fromEnvironment();
    const credentials =
      keys ?? (await (providerEnvironment?.run(env, () => this.#fromProviders()) ?? this.#fromProviders()));
    if (timeLeftMs(credentials) <= 0) {
      throw new ProxyError(
        'CREDENTIALS_EXPIRED',
        `the AWS credentials expired at ${credentials.expiration?.toISOString() ?? ''}`,
        {
          hint: 'get new ones from where these came from',
        },
      );
    }
    const file = keys === undefined ? this.#cacheFile : undefined;
    if (file !== undefined) writeCachedCredentials(file, profile.settings, credentials);
    log.debug('credentials', {
      source: keys === undefined ? `sources of profile ${profile.name}` : 'environment',
      expires: credentials.expiration?.toISOString(),
      ms: Math.round(sinceStartMs() - startedAt),
    });
    return credentials;
  }

  async #fromProviders(): Promise<AwsCredentials> {
    const { profile, files, region, network, timeouts, skew, log, client } = this.#settings;
    const chain = profileChain(profile.name, files);
    const { SdkRequestHandler } = await import('./request-handler.ts');
    const requestHandler = new SdkRequestHandler({ network, timeouts, skew, log });
    silenceVersionWarning();
    const logger = sdkLogger(log);
    const init = {
      profile: profile.name,
      filepath: files.credentialsPath,
      configFilepath: files.configPath,
      // The SDK caches the files' contents process-wide.
      ignoreCache: true,
      logger,
      // Clients of the providers: STS, SSO and SSO-OIDC. Their regions are the providers' business.
      clientConfig: { ...client, ...this.#innerEndpoint(chain), requestHandler, logger },
      parentClientConfig: { region, requestHandler, logger },
    };
    try {
      if (namesCredentials(profile.settings)) {
        const { fromIni } = await import('@aws-sdk/credential-provider-ini');
        return await fromIni(init)();
      }
      const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
      return await defaultProvider(init)();
    } catch (error) {
      const { translateCredentialsError } = await import('./credentials-error.ts');
      throw translateCredentialsError({
        error,
        connection: requestHandler.lastFailure,
        profile,
        chain,
        network,
        profilesText: [describeProfiles(files), ...files.problems].join('; '),
      });
    }
  }

  /**
   * One `clientConfig` serves all clients of the providers, so an endpoint can be handed over only where those that
   * this profile needs agree. Where they differ (SSO and STS apart, in a services section) the SDK's own lookup
   * remains, which knows AWS_ENDPOINT_URL_<SERVICE> and AWS_PROFILE but not --profile.
   */
  #innerEndpoint(chain: readonly IniSection[]): { ignoreConfiguredEndpointUrls?: true; endpoint?: string } {
    const usesSso = chain.some((settings) => settings['sso_session'] ?? settings['sso_start_url']);
    const usesSts = !usesSso || chain.some((settings) => settings['role_arn']);
    const { endpointOf } = this.#settings;
    const endpoints = new Set<string | undefined>([
      ...(usesSso ? [endpointOf('SSO'), endpointOf('SSO_OIDC')] : []),
      ...(usesSts ? [endpointOf('STS')] : []),
    ]);
    if (endpoints.size !== 1) return {};
    const [endpoint] = endpoints;
    return { ignoreConfiguredEndpointUrls: true, ...(endpoint !== undefined && { endpoint }) };
  }
}

/** Keys that stand in the profile; a role or anything else that goes before them is for the SDK to follow. */
function profileKeys(settings: IniSection): AwsCredentials | undefined {
  const { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey } = settings;
  if (!accessKeyId || !secretAccessKey || settings['role_arn'] !== undefined) return undefined;
  const sessionToken = settings['aws_session_token'];
  const accountId = settings['aws_account_id'];
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken && { sessionToken }),
    ...(accountId && { accountId }),
  };
}

/** AWS_ACCESS_KEY_ID and what belongs to it. CREDENTIALS_MISSING when only half of the pair is there. */
function environmentKeys(env: Readonly<Record<string, string | undefined>>): AwsCredentials | undefined {
  const accessKeyId = env['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
  if (!accessKeyId) return undefined;
  if (!secretAccessKey) {
    throw new ProxyError(
      'CREDENTIALS_MISSING',
      'AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not',
      {
        hint: 'set both, or neither and use a profile',
      },
    );
  }
  const sessionToken = env['AWS_SESSION_TOKEN'] || env['AWS_SECURITY_TOKEN'];
  const expiration = Date.parse(env['AWS_CREDENTIAL_EXPIRATION'] ?? '');
  const accountId = env['AWS_ACCOUNT_ID'];
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken && { sessionToken }),
    ...(!Number.isNaN(expiration) && { expiration: new Date(expiration) }),
    ...(accountId && { accountId }),
  };
}
