/**
 * Logs a person in to IAM Identity Center: in a browser on this machine with an authorization code and PKCE, elsewhere
 * with a device code that is approved in any browser. The token goes where the AWS CLI keeps its own.
 */
import { createHash, randomBytes } from 'node:crypto';
import { ProxyError } from '../errors.ts';
import type { SsoAccess } from './access.ts';
import type { Browser } from './browser.ts';
import { DEVICE_GRANT, Oidc, oidcErrorName } from './oidc.ts';
import type { DeviceAuthorization } from './oidc.ts';
import { REGISTERED_REDIRECT, startRedirectServer } from './redirect-server.ts';
import type { SsoSession } from './sso-session.ts';
import type { SsoRegistration, SsoToken } from './token-cache.ts';

export interface LoginEvents {
  /** The person is to open this page. `userCode`: to compare or type there. `isOpened`: a browser is showing it. */
  onPage(page: {
    readonly url: string;
    readonly userCode: string | undefined;
    readonly isOpened: boolean;
  }): void;
}

/** A registration or token with less left than this is as good as expired, as in the AWS CLI. Milliseconds. */
const REGISTRATION_MARGIN_MS = 15 * 60_000;
/** For a person to log in, second factor and all, as in the AWS CLI. Milliseconds. */
const BROWSER_LIMIT_MS = 10 * 60_000;
/** RFC 8628, 3.5: what slow_down adds. Milliseconds. */
const SLOW_DOWN_MS = 5_000;
const MIN_INTERVAL_MS = 200;
/** Without it there is neither a list of accounts nor a refresh token. */
export const DEFAULT_SCOPE = 'sso:account:access';
/** The service no longer knows a registration that we have kept. */
const STALE_REGISTRATION: ReadonlySet<string> = new Set([
  'InvalidClientException',
  'UnauthorizedClientException',
]);

/**
 * The login, also on disk. `browser` undefined: a device code, and a page that the person opens somewhere.
 * LOGIN_FAILED, ENDPOINT_UNREACHABLE, TLS_UNTRUSTED, SERVICE_ERROR, CONFIG_INVALID.
 */
export async function logIn(
  access: SsoAccess,
  session: SsoSession,
  browser: Browser | undefined,
  events: LoginEvents,
): Promise<SsoToken> {
  const oidc = new Oidc(access, session);
  const flow = browser?.isLocal === true ? inBrowser : withDeviceCode;
  const token = await flow(access, session, oidc, browser, events);
  access.cache.writeToken(session, token);
  access.log.info('sso-login', { session: session.name, expires: token.expiresAt.toISOString() });
  return token;
}

/** RFC 7636. */
async function inBrowser(
  access: SsoAccess,
  session: SsoSession,
  oidc: Oidc,
  browser: Browser | undefined,
  events: LoginEvents,
): Promise<SsoToken> {
  const state = randomBytes(24).toString('base64url');
  const server = await startRedirectServer(state);
  try {
    const scopes = session.scopes ?? [DEFAULT_SCOPE];
    const registration = await register(access, session, oidc, scopes, REGISTERED_REDIRECT);
    const codeVerifier = randomBytes(48).toString('base64url');
    const url = new URL('/authorize', oidc.origin());
    const parameters = {
      response_type: 'code',
      client_id: registration.clientId,
      redirect_uri: server.redirectUri,
      state,
      code_challenge_method: 'S256',
      code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
      scopes: scopes.join(' '),
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    const isOpened = (await browser?.open(url.href)) ?? false;
    events.onPage({ url: url.href, userCode: undefined, isOpened });
    const code = await server.waitForCode(BROWSER_LIMIT_MS);
    const { redirectUri } = server;
    return await oidc.createToken(registration, {
      grantType: 'authorization_code',
      code,
      codeVerifier,
      redirectUri,
    });
  } finally {
    server.close();
  }
}

/** RFC 8628. */
async function withDeviceCode(
  access: SsoAccess,
  session: SsoSession,
  oidc: Oidc,
  browser: Browser | undefined,
  events: LoginEvents,
): Promise<SsoToken> {
  const scopes = session.scopes ?? (session.name === undefined ? [] : [DEFAULT_SCOPE]);
  let registration = await register(access, session, oidc, scopes, undefined);
  let device: DeviceAuthorization;
  try {
    device = await oidc.startDevice(registration);
  } catch (error) {
    if (!STALE_REGISTRATION.has(oidcErrorName(error) ?? '')) throw error;
    registration = await registerAnew(access, session, oidc, scopes, undefined);
    device = await oidc.startDevice(registration);
  }
  const { userCode, verificationUriComplete: url } = device;
  const isOpened = (await browser?.open(url)) ?? false;
  events.onPage({ url, userCode, isOpened });
  return poll(oidc, registration, device);
}

async function poll(
  oidc: Oidc,
  registration: SsoRegistration,
  device: DeviceAuthorization,
): Promise<SsoToken> {
  const proof = { grantType: DEVICE_GRANT, deviceCode: device.deviceCode } as const;
  const end = performance.now() + device.expiresInMs;
  let intervalMs = Math.max(device.intervalMs, MIN_INTERVAL_MS);
  for (;;) {
    try {
      return await oidc.createToken(registration, proof);
    } catch (error) {
      switch (oidcErrorName(error)) {
        case 'AuthorizationPendingException':
          break;
        case 'SlowDownException':
          intervalMs += SLOW_DOWN_MS;
          break;
        case 'ExpiredTokenException':
          throw notInTime(error);
        case 'AccessDeniedException':
          throw new ProxyError('LOGIN_FAILED', 'the login was declined in the browser', {
            hint: 'try again, and allow the access that the page asks for',
            cause: error,
          });
        default:
          throw error;
      }
      if (performance.now() + intervalMs > end) throw notInTime(error);
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}

function notInTime(cause: unknown): ProxyError {
  return new ProxyError('LOGIN_FAILED', 'nobody approved the login before its code expired', {
    hint: 'try again; each code has a few minutes',
    cause,
  });
}

/** The one on disk while it is good, else a new one. */
async function register(
  access: SsoAccess,
  session: SsoSession,
  oidc: Oidc,
  scopes: readonly string[],
  redirectUri: string | undefined,
): Promise<SsoRegistration> {
  const known = access.cache.readRegistration(session);
  const isForBrowser = known?.grantTypes.includes('authorization_code') ?? false;
  const isGood =
    known !== undefined &&
    isForBrowser === (redirectUri !== undefined) &&
    scopes.every((scope) => known.scopes.includes(scope)) &&
    known.expiresAt.getTime() - Date.now() > REGISTRATION_MARGIN_MS;
  return isGood ? known : registerAnew(access, session, oidc, scopes, redirectUri);
}

async function registerAnew(
  access: SsoAccess,
  session: SsoSession,
  oidc: Oidc,
  scopes: readonly string[],
  redirectUri: string | undefined,
): Promise<SsoRegistration> {
  const registration = await oidc.register(scopes, redirectUri);
  access.cache.writeRegistration(session, registration);
  return registration;
}
