/** The calls of SSO OIDC as plain functions. The only file that knows its client. */
import {
  CreateTokenCommand,
  RegisterClientCommand,
  SSOOIDCClient,
  StartDeviceAuthorizationCommand,
} from '@aws-sdk/client-sso-oidc';
import type { CreateTokenCommandInput } from '@aws-sdk/client-sso-oidc';
import { serviceErrorOf, translateAwsError } from '../aws/errors.ts';
import { ProxyError } from '../errors.ts';
import type { SsoAccess } from './access.ts';
import type { SsoSession } from './sso-session.ts';
import type { SsoRegistration, SsoToken } from './token-cache.ts';

/** A device code that a person has to approve. The codes are secrets but for the user code. */
export interface DeviceAuthorization {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly verificationUri: string;
  /** With the user code in it. */
  readonly verificationUriComplete: string;
  readonly expiresInMs: number;
  readonly intervalMs: number;
}

/** What proves a login. */
export type Proof =
  | {
      readonly grantType: 'authorization_code';
      readonly code: string;
      readonly codeVerifier: string;
      readonly redirectUri: string;
    }
  | { readonly grantType: 'refresh_token'; readonly refreshToken: string }
  | { readonly grantType: typeof DEVICE_GRANT; readonly deviceCode: string };

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
/** RFC 8628, 3.2 and 3.5. Milliseconds. */
const DEFAULT_INTERVAL_MS = 5_000;
const DEFAULT_TOKEN_SECONDS = 3_600;
const DEFAULT_DEVICE_SECONDS = 600;

export class Oidc {
  readonly #session: SsoSession;
  readonly #access: SsoAccess;
  readonly #client: SSOOIDCClient;
  readonly #configuredEndpoint: string | undefined;

  constructor(access: SsoAccess, session: SsoSession) {
    const config = access.clientConfig('SSO_OIDC', session.region);
    this.#access = access;
    this.#session = session;
    this.#configuredEndpoint = config.endpoint;
    this.#client = new SSOOIDCClient(config);
  }

  /** `redirectUri`: for logins in the browser; without it for device codes. */
  async register(scopes: readonly string[], redirectUri: string | undefined): Promise<SsoRegistration> {
    const grantTypes = redirectUri === undefined ? [] : ['authorization_code', 'refresh_token'];
    const { name, startUrl } = this.#session;
    const answer = await this.#call('RegisterClient', () =>
      this.#client.send(
        new RegisterClientCommand({
          clientName: `ssm-proxy-${name ?? String(Math.floor(Date.now() / 1000))}`,
          clientType: 'public',
          ...(scopes.length > 0 && { scopes: [...scopes] }),
          ...(redirectUri !== undefined && { grantTypes, redirectUris: [redirectUri], issuerUrl: startUrl }),
        }),
      ),
    );
    const { clientId, clientSecret, clientSecretExpiresAt } = answer;
    if (!clientId || !clientSecret) throw incomplete('RegisterClient');
    const expiresAt = new Date((clientSecretExpiresAt ?? 0) * 1000);
    return { clientId, clientSecret, expiresAt, grantTypes, scopes };
  }

  async startDevice({ clientId, clientSecret }: SsoRegistration): Promise<DeviceAuthorization> {
    const { startUrl } = this.#session;
    const answer = await this.#call('StartDeviceAuthorization', () =>
      this.#client.send(new StartDeviceAuthorizationCommand({ clientId, clientSecret, startUrl })),
    );
    const { deviceCode, userCode, verificationUri } = answer;
    if (!deviceCode || !userCode || !verificationUri) throw incomplete('StartDeviceAuthorization');
    return {
      deviceCode,
      userCode,
      verificationUri,
      verificationUriComplete: answer.verificationUriComplete ?? verificationUri,
      expiresInMs: (answer.expiresIn ?? DEFAULT_DEVICE_SECONDS) * 1000,
      intervalMs: answer.interval === undefined ? DEFAULT_INTERVAL_MS : answer.interval * 1000,
    };
  }

  /** A token for a proof. Errors keep AWS's error name in their cause; see `oidcErrorName`. */
  async createToken(registration: SsoRegistration, proof: Proof): Promise<SsoToken> {
    const { clientId, clientSecret } = registration;
    const input: CreateTokenCommandInput = { clientId, clientSecret, ...proof };
    const answer = await this.#call('CreateToken', () => this.#client.send(new CreateTokenCommand(input)));
    if (!answer.accessToken) throw incomplete('CreateToken');
    return {
      startUrl: this.#session.startUrl,
      region: this.#session.region,
      accessToken: answer.accessToken,
      expiresAt: new Date(Date.now() + (answer.expiresIn ?? DEFAULT_TOKEN_SECONDS) * 1000),
      refreshToken: answer.refreshToken || undefined,
      registration,
    };
  }

  /** Scheme and host of the service, for the page that is no API call. */
  origin(): string {
    if (this.#configuredEndpoint !== undefined) return new URL(this.#configuredEndpoint).origin;
    const { useFipsEndpoint: UseFIPS, useDualstackEndpoint: UseDualStack } = this.#access.clientConfig(
      'SSO_OIDC',
      this.#session.region,
    );
    const { url } = this.#client.config.endpointProvider({
      Region: this.#session.region,
      UseFIPS,
      UseDualStack,
    });
    return url.origin;
  }

  async #call<T>(operation: string, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      throw translateAwsError(error, operation, this.#access.network);
    }
  }
}

/** As AWS names it: `AuthorizationPendingException`; undefined when the error is no answer. */
export function oidcErrorName(error: unknown): string | undefined {
  return error instanceof ProxyError ? serviceErrorOf(error.cause)?.code : undefined;
}

function incomplete(operation: string): ProxyError {
  return new ProxyError('SERVICE_ERROR', `the answer to ${operation} lacks what it is asked for`);
}
