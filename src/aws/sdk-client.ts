/** What every SDK client is made with. All settings are explicit: the SDK has nothing left to look up by itself. */
import type { AwsCredentials } from './credential-store.ts';
import type { ClientSettings } from './endpoints.ts';
import type { SdkLogger } from './sdk-logger.ts';
import type { SdkRequestHandler } from './request-handler.ts';

export interface SdkClientConfig extends ClientSettings {
  readonly region: string;
  readonly endpoint?: string;
  /** Endpoints of the environment and the files have been weighed already. */
  readonly ignoreConfiguredEndpointUrls: true;
  /** A fixed set: given a function, the client keeps its first answer as long as it likes. See client-cache.ts. */
  readonly credentials: AwsCredentials;
  readonly requestHandler: SdkRequestHandler;
  readonly logger: SdkLogger;
  readonly customUserAgent: [string, string][];
  /** Empty: the service's own order. Set so that the SDK does not read config files for it. */
  readonly authSchemePreference: string[];
  /** A function, since the SDK else reads config files for it. */
  readonly disableClockSkewCorrection: () => Promise<boolean>;
}
