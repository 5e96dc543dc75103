/**
 * IAM Identity Center: who may log in, and what a login gives. Clients register, a person approves in a browser (for
 * an authorization code with PKCE, or a device code), and the client gets an access token and a refresh token. State
 * and rules only; api/sso-oidc.ts and api/sso-portal.ts put them on the wire.
 */
import * as crypto from 'node:crypto';
import { Refusal } from './api/refusal.ts';
import { ACCOUNT_ID } from './identities.ts';

export interface SsoAccount {
  readonly accountId: string;
  readonly accountName: string;
  readonly emailAddress: string;
  /** Names of the roles that the person has there. */
  readonly roles: readonly string[];
}

export interface SsoSettings {
  /** Start URL of the portal; others are refused. */
  readonly startUrl: string;
  /** What the person does on the page: `ignore` leaves it open. */
  readonly answer: 'approve' | 'deny' | 'ignore';
  /** Lifetime of an access token, milliseconds of the service's clock. */
  readonly tokenMs: number;
  /** Lifetime of a device code. */
  readonly deviceMs: number;
  /** Seconds between two polls that the client is told. */
  readonly intervalSeconds: number;
  readonly accounts: readonly SsoAccount[];
}

export interface SsoClient {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scopes: readonly string[];
  readonly grantTypes: readonly string[];
  readonly redirectUris: readonly string[];
  /** Milliseconds since the epoch, as all times here. */
  readonly expiresAt: number;
}

interface DeviceCode {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly clientId: string;
  readonly expiresAt: number;
  state: 'pending' | 'approved' | 'denied';
}

interface AuthorizationCode {
  readonly code: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly expiresAt: number;
}

export interface SsoGrant {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly clientId: string;
  readonly expiresAt: number;
}

const REGISTRATION_MS = 90 * 86_400_000;
const AUTHORIZATION_CODE_MS = 10 * 60_000;
const MAX_KEPT = 10_000;
/** Scope without which the service hands out no refresh token. */
const REFRESHABLE_SCOPE = 'sso:account:access';

export const DEFAULT_SSO_SETTINGS: SsoSettings = {
  startUrl: 'https://demo.awsapps.com/start',
  answer: 'approve',
  tokenMs: 8 * 3_600_000,
  deviceMs: 10 * 60_000,
  intervalSeconds: 1,
  accounts: [
    {
      accountId: ACCOUNT_ID,
      accountName: 'demo',
      emailAddress: 'demo@example.com',
      roles: ['PowerUser', 'ReadOnly'],
    },
  ],
};

export class SsoDirectory {
  settings: SsoSettings = DEFAULT_SSO_SETTINGS;
  readonly #now: () => number;
  readonly #clients = new Map<string, SsoClient>();
  readonly #devices = new Map<string, DeviceCode>();
  readonly #codes = new Map<string, AuthorizationCode>();
  readonly #grants = new Map<string, SsoGrant>();

  constructor(now: () => number) {
    this.#now = now;
  }

  register(wanted: Pick<SsoClient, 'scopes' | 'grantTypes' | 'redirectUris'>): SsoClient {
    const client: SsoClient = {
      ...wanted,
      clientId: randomText(),
      clientSecret: randomText(),
      expiresAt: this.#now() + REGISTRATION_MS,
    };
    keep(this.#clients, client.clientId, client);
    return client;
  }

  /** The registered client of these credentials. */
  client(clientId: string, clientSecret: string): SsoClient {
    const client = this.#clients.get(clientId);
    if (client === undefined || client.clientSecret !== clientSecret || client.expiresAt <= this.#now()) {
      throw new Refusal('InvalidClientException', 'Invalid client ID or secret provided.', 401);
    }
    return client;
  }

  startDevice(client: SsoClient, startUrl: string): DeviceCode {
    if (startUrl !== this.settings.startUrl) {
      throw new Refusal('InvalidRequestException', 'Invalid start url provided');
    }
    // A registration for codes of the browser is not one for device codes.
    if (client.grantTypes.length > 0 && !client.grantTypes.includes(DEVICE_GRANT)) {
      throw new Refusal('UnauthorizedClientException', 'The client is not registered for this grant type.');
    }
    const device: DeviceCode = {
      deviceCode: randomText(),
      userCode: userCode(),
      clientId: client.clientId,
      expiresAt: this.#now() + this.settings.deviceMs,
      state: 'pending',
    };
    keep(this.#devices, device.deviceCode, device);
    return device;
  }

  /** A person has opened the device page with this code. False: no such code. */
  visitDevice(userCode: string): boolean {
    const device = [...this.#devices.values()].find((each) => each.userCode === userCode);
    if (device === undefined) return false;
    if (this.settings.answer === 'approve') device.state = 'approved';
    if (this.settings.answer === 'deny') device.state = 'denied';
    return true;
  }

  /** The person's answer on the authorize page: a code, a refusal (false), or nothing yet. */
  authorize(clientId: string, redirectUri: string, challenge: string): string | false | undefined {
    const client = this.#clients.get(clientId);
    if (client === undefined || !client.redirectUris.some((each) => isSameButPort(each, redirectUri))) {
      throw new Refusal('InvalidRequestException', 'Invalid client or redirect URI.');
    }
    if (this.settings.answer === 'ignore') return undefined;
    if (this.settings.answer === 'deny') return false;
    const code: AuthorizationCode = {
      code: randomText(),
      clientId,
      redirectUri,
      challenge,
      expiresAt: this.#now() + AUTHORIZATION_CODE_MS,
    };
    keep(this.#codes, code.code, code);
    return code.code;
  }

  grantForDevice(client: SsoClient, deviceCode: string): SsoGrant {
    const device = this.#devices.get(deviceCode);
    if (device === undefined || device.clientId !== client.clientId) throw invalidGrant();
    if (device.expiresAt <= this.#now()) throw new Refusal('ExpiredTokenException', 'Device code expired.');
    if (device.state === 'pending') {
      throw new Refusal('AuthorizationPendingException', 'Authorization is still pending.');
    }
    this.#devices.delete(deviceCode);
    if (device.state === 'denied') throw new Refusal('AccessDeniedException', 'Access denied.');
    return this.#grant(client);
  }

  grantForCode(client: SsoClient, code: string, redirectUri: string, verifier: string): SsoGrant {
    const known = this.#codes.get(code);
    // Single use, whatever comes of it.
    this.#codes.delete(code);
    const challenge = crypto.createHash('sha256').update(verifier).digest('base64url');
    if (
      known === undefined ||
      known.clientId !== client.clientId ||
      known.redirectUri !== redirectUri ||
      known.challenge !== challenge ||
      known.expiresAt <= this.#now()
    ) {
      throw invalidGrant();
    }
    return this.#grant(client);
  }

  refresh(client: SsoClient, refreshToken: string): SsoGrant {
    const known = [...this.#grants.values()].find((each) => each.refreshToken === refreshToken);
    if (known === undefined || known.clientId !== client.clientId) throw invalidGrant();
    this.#grants.delete(known.accessToken);
    return this.#grant(client, refreshToken);
  }

  /** Throws UnauthorizedException for a token that is not good (any more). */
  check(accessToken: string): void {
    const grant = this.#grants.get(accessToken);
    if (grant === undefined || grant.expiresAt <= this.#now()) {
      throw new Refusal('UnauthorizedException', 'Session token not found or invalid', 401);
    }
  }

  logout(accessToken: string): void {
    this.#grants.delete(accessToken);
  }

  /** As after a person's sign-out in the portal: no token is good any more. */
  revokeAll(): void {
    this.#grants.clear();
  }

  #grant(client: SsoClient, refreshToken = randomText()): SsoGrant {
    const grant: SsoGrant = {
      accessToken: randomText(),
      refreshToken,
      clientId: client.clientId,
      expiresAt: this.#now() + this.settings.tokenMs,
    };
    keep(this.#grants, grant.accessToken, grant);
    return grant;
  }
}

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** Whether a login of this client can be prolonged without a person. */
export function isRefreshable(client: SsoClient): boolean {
  return client.scopes.includes(REFRESHABLE_SCOPE);
}

function keep<T>(map: Map<string, T>, key: string, value: T): void {
  const [oldest] = map.keys();
  if (map.size >= MAX_KEPT && oldest !== undefined) map.delete(oldest);
  map.set(key, value);
}

function invalidGrant(): Refusal {
  return new Refusal('InvalidGrantException', 'Invalid grant provided.');
}

/** Loopback redirects may come on any port (RFC 8252, 7.3). */
function isSameButPort(registered: string, given: string): boolean {
  const strip = (text: string): string => {
    const url = new URL(text);
    url.port = '';
    return url.href;
  };
  return URL.canParse(given) && URL.canParse(registered) && strip(registered) === strip(given);
}

function randomText(): string {
  return crypto.randomBytes(24).toString('base64url');
}

function userCode(): string {
  const text = crypto.randomBytes(8).toString('hex').toUpperCase();
  return `${text.slice(0, 4)}-${text.slice(4, 8)}`;
}
