/** Where the calls of a context go: the endpoint that settings name, or the region's own as the SDK knows it. */
import { SSMClient } from '@aws-sdk/client-ssm';
import { EC2Client } from '@aws-sdk/client-ec2';
import { STSClient } from '@aws-sdk/client-sts';
import { ProxyError } from '../errors.ts';
import type { AwsContext } from './context.ts';
import type { AwsCredentials } from './credential-store.ts';

export interface ServiceHost {
  readonly service: 'ec2' | 'ssm' | 'ssmmessages' | 'sts';
  /** Scheme, host and port. */
  readonly origin: string;
  /** Settings name it; false: it is the region's own. */
  readonly isConfigured: boolean;
}

/** No client made here sends anything. */
const NO_CREDENTIALS: AwsCredentials = { accessKeyId: '', secretAccessKey: '' };

/** CONFIG_INVALID for an endpoint setting that cannot be used, or a region that no partition knows. */
export function serviceHosts(context: AwsContext): readonly ServiceHost[] {
  const ssm = resolved(context, 'SSM', (config) => new SSMClient(config).config.endpointProvider);
  const channel = context.endpoint('SSMMESSAGES');
  return [
    {
      service: 'sts',
      ...resolved(context, 'STS', (config) => new STSClient(config).config.endpointProvider),
    },
    {
      service: 'ec2',
      ...resolved(context, 'EC2', (config) => new EC2Client(config).config.endpointProvider),
    },
    { service: 'ssm', ...ssm },
    {
      service: 'ssmmessages',
      // With an SSM endpoint of one's own, StartSession decides; the host beside it is the best guess.
      origin:
        channel === undefined
          ? ssm.origin.replace(/\/\/ssm(-fips)?\./, '//ssmmessages$1.')
          : new URL(channel.replace(/^ws/, 'http')).origin,
      isConfigured: channel !== undefined || ssm.isConfigured,
    },
  ];
}

type Config = ReturnType<AwsContext['clientConfig']>;
type Provider = (parameters: { Region: string; UseFIPS: boolean; UseDualStack: boolean }) => {
  readonly url: URL;
};

function resolved(
  context: AwsContext,
  service: 'EC2' | 'SSM' | 'STS',
  providerOf: (config: Config) => Provider,
): Omit<ServiceHost, 'service'> {
  const configured = context.endpoint(service);
  if (configured !== undefined) return { origin: new URL(configured).origin, isConfigured: true };
  const config = context.clientConfig(service, NO_CREDENTIALS);
  const { useFipsEndpoint: UseFIPS, useDualstackEndpoint: UseDualStack } = config;
  try {
    const { url } = providerOf(config)({ Region: context.region, UseFIPS, UseDualStack });
    return { origin: url.origin, isConfigured: false };
  } catch (cause) {
    throw new ProxyError('CONFIG_INVALID', `no ${service} endpoint is known for region ${context.region}`, {
      cause,
    });
  }
}
