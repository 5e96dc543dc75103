/** Ends logins: at the service, so that a copied token is worth nothing, and on disk. */
import { rmSync } from 'node:fs';
import { asProxyError } from '../errors.ts';
import type { SsoAccess } from './access.ts';
import { Portal } from './portal.ts';
import type { SsoSession } from './sso-session.ts';
import type { StoredToken } from './token-cache.ts';

export interface LogoutResult {
  /** Logins that were on disk and are not any more. */
  readonly ended: number;
  /** Why the service could not be told about one of them; its token stays good there until it expires. */
  readonly failure: string | undefined;
}

/**
 * `session` undefined: every login on this machine. Role credentials that were got through SSO and are kept for the AWS CLI
 * and us go in either case: whoever is still logged in gets new ones without noticing.
 */
export async function logOut(access: SsoAccess, session: SsoSession | undefined): Promise<LogoutResult> {
  const { cache } = access;
  const path = session === undefined ? undefined : cache.tokenPath(session);
  const stored = cache.tokens().filter((each) => path === undefined || each.path === path);
  const failures = await Promise.all(stored.map((each) => endOne(access, each)));
  cache.dropCliRoleCredentials();
  return { ended: stored.length, failure: failures.find((failure) => failure !== undefined) };
}

async function endOne(access: SsoAccess, { path, token }: StoredToken): Promise<string | undefined> {
  // First the file: it must go even if the service cannot be reached.
  rmSync(path, { force: true });
  if (token.region === '' || token.expiresAt.getTime() <= Date.now()) return undefined;
  try {
    await new Portal(access, token).logout();
    return undefined;
  } catch (error) {
    return asProxyError(error).message;
  }
}
