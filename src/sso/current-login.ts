/** The login that is on disk: good as it is, prolonged with its refresh token, or of no more use. */
import type { SsoAccess } from './access.ts';
import { Oidc, oidcErrorName } from './oidc.ts';
import type { SsoSession } from './sso-session.ts';
import type { SsoToken } from './token-cache.ts';

/** With less than this left, a token is prolonged, as the SDKs do. Milliseconds. */
const REFRESH_BEFORE_MS = 5 * 60_000;

/**
 * Undefined when a person has to log in. The prolonged token is on disk, too. Older profiles (a start URL of their own)
 * are never prolonged: the AWS CLI and the SDKs do not either. ENDPOINT_UNREACHABLE and the like when it cannot be told.
 */
export async function currentLogin(access: SsoAccess, session: SsoSession): Promise<SsoToken | undefined> {
  const token = access.cache.readToken(session);
  if (token === undefined) return undefined;
  const leftMs = token.expiresAt.getTime() - Date.now();
  if (leftMs > REFRESH_BEFORE_MS) return token;
  const { refreshToken, registration } = token;
  const isRefreshable =
    session.name !== undefined &&
    refreshToken !== undefined &&
    registration !== undefined &&
    registration.expiresAt.getTime() > Date.now();
  if (!isRefreshable) return leftMs > 0 ? token : undefined;
  try {
    const oidc = new Oidc(access, session);
    const renewed = await oidc.createToken(registration, { grantType: 'refresh_token', refreshToken });
    // The service may keep the refresh token as it is, and then does not repeat it.
    const kept = { ...renewed, refreshToken: renewed.refreshToken ?? refreshToken };
    access.cache.writeToken(session, kept);
    return kept;
  } catch (error) {
    // A refusal ends the login; a network that fails does not.
    if (oidcErrorName(error) === undefined) throw error;
    return leftMs > 0 ? token : undefined;
  }
}
