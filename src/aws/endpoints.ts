/**
 * Endpoint and retry settings as every AWS SDK is to read them. The JS SDK reads most of this itself, but from
 * AWS_PROFILE's or the default profile even when another was named, so all of it is decided here and handed over.
 */
import { ProxyError } from '../errors.ts';
import { splitUrl } from '../transport/raw-url.ts';
import type { ConfigFiles } from './config-files.ts';
import type { IniSection } from './ini-file.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Service identifiers as in AWS_ENDPOINT_URL_<SERVICE>, and in lower case in a services section. */
export type EndpointService =
  'EC2' | 'SSM' | 'SSMMESSAGES' | 'STS' | 'SSO' | 'SSO_OIDC' | 'KMS' | 'IAM' | 'EC2_INSTANCE_CONNECT';

export interface EndpointInputs {
  /** `--endpoint-url`: for every API call. */
  readonly endpointUrl: string | undefined;
  /** The same for SSM alone, before all others; undefined: nothing of its own. */
  readonly ssmEndpoint?: string | undefined;
  /** `--ssmmessages-endpoint`. */
  readonly ssmmessagesEndpoint: string | undefined;
  readonly env: Environment;
  readonly settings: IniSection;
  readonly files: ConfigFiles;
}

/**
 * The configured endpoint of a service; undefined for the region's own. Flag, then AWS_ENDPOINT_URL_<SERVICE>,
 * AWS_ENDPOINT_URL, the profile's services section, its endpoint_url. SSMMESSAGES knows only its own settings:
 * StartSession has answered with the URL that fits the endpoint it was asked through. CONFIG_INVALID for a bad URL.
 */
export function configuredEndpoint(service: EndpointService, inputs: EndpointInputs): string | undefined {
  const { env, settings, files } = inputs;
  if (service === 'SSM' && inputs.ssmEndpoint !== undefined) {
    return checked(inputs.ssmEndpoint, 'the SSM endpoint that the caller gave');
  }
  const isChannel = service === 'SSMMESSAGES';
  const flag = isChannel ? inputs.ssmmessagesEndpoint : inputs.endpointUrl;
  if (flag !== undefined && flag !== '') {
    return checked(flag, isChannel ? '--ssmmessages-endpoint' : '--endpoint-url');
  }
  if (isTrue(env['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] ?? settings['ignore_configured_endpoint_urls'])) {
    return undefined;
  }
  const variables = [`AWS_ENDPOINT_URL_${service}`, ...(isChannel ? [] : ['AWS_ENDPOINT_URL'])];
  for (const variable of variables) {
    const value = env[variable];
    if (value !== undefined && value !== '') return checked(value, variable);
  }
  const sectionName = settings['services'];
  if (sectionName !== undefined) {
    const section = files.services.get(sectionName);
    if (section === undefined) {
      throw new ProxyError(
        'CONFIG_INVALID',
        `the profile names services = ${sectionName}, and ${files.configPath} has no [services ${sectionName}]`,
      );
    }
    const own = section[`${service.toLowerCase()}.endpoint_url`];
    if (own !== undefined)
      return checked(own, `endpoint_url of ${service.toLowerCase()} in [services ${sectionName}]`);
  }
  const general = isChannel ? undefined : settings['endpoint_url'];
  return general === undefined ? undefined : checked(general, 'endpoint_url in the profile');
}

function checked(value: string, origin: string): string {
  const url = splitUrl(value);
  if (
    url !== undefined &&
    (origin.includes('ssmmessages') || origin.includes('SSMMESSAGES') || url.scheme.startsWith('http'))
  ) {
    return value;
  }
  throw new ProxyError(
    origin.startsWith('--') ? 'USAGE' : 'CONFIG_INVALID',
    `${origin} is not an http or https URL`,
    {
      hint: 'write it as https://host or http://host:port, without user and password',
    },
  );
}

export interface ClientSettings {
  readonly useFipsEndpoint: boolean;
  readonly useDualstackEndpoint: boolean;
  /** The first attempt included. */
  readonly maxAttempts: number;
  readonly retryMode: 'standard' | 'adaptive';
  /** AWS_SDK_UA_APP_ID: up to 50 characters that users add to the user agent. */
  readonly userAgentAppId: string;
}

const DEFAULT_MAX_ATTEMPTS = 3;

/** AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT, AWS_MAX_ATTEMPTS, AWS_RETRY_MODE and their profile keys. */
export function clientSettings(env: Environment, settings: IniSection): ClientSettings {
  const attempts = env['AWS_MAX_ATTEMPTS'] || settings['max_attempts'];
  const maxAttempts = attempts === undefined ? DEFAULT_MAX_ATTEMPTS : Number(attempts);
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1) {
    const origin = env['AWS_MAX_ATTEMPTS'] ? 'AWS_MAX_ATTEMPTS' : 'max_attempts in the profile';
    throw new ProxyError('CONFIG_INVALID', `${origin} must be a whole number from 1 on`);
  }
  const mode = (env['AWS_RETRY_MODE'] || settings['retry_mode'])?.toLowerCase();
  return {
    useFipsEndpoint: isTrue(env['AWS_USE_FIPS_ENDPOINT'] ?? settings['use_fips_endpoint']),
    useDualstackEndpoint: isTrue(env['AWS_USE_DUALSTACK_ENDPOINT'] ?? settings['use_dualstack_endpoint']),
    maxAttempts,
    // `legacy` is a mode of the AWS CLI; the JS SDK's nearest is standard.
    retryMode: mode === 'adaptive' ? 'adaptive' : 'standard',
    userAgentAppId: (env['AWS_SDK_UA_APP_ID'] ?? settings['sdk_ua_app_id'] ?? '').slice(0, 50),
  };
}

function isTrue(value: string | undefined): boolean {
  return value?.toLowerCase() === 'true';
}
