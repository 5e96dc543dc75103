/** The SSO login that the profile needs: there, how long, and whether it is prolonged by itself. */
import type { ConfigFiles } from '../aws/config-files.ts';
import { selectProfile } from '../aws/profile.ts';
import { describeSession, ssoSessionOf } from '../sso/sso-session.ts';
import { SsoCache } from '../sso/token-cache.ts';
import type { Finding } from './finding.ts';
import { codeOf, failed, failure, ok } from './finding.ts';
import { inTime } from '../times-in-words.ts';

export interface SsoInputs {
  readonly files: ConfigFiles;
  /** `--profile`. */
  readonly profile: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/** Nothing where the profile does not use SSO. Reads files only: whether the service still knows the login shows later. */
export function checkSso({ files, profile: flag, env }: SsoInputs): readonly Finding[] {
  const id = 'sso.login';
  const what = 'SSO login';
  try {
    const profile = selectProfile(flag, env, files);
    if (profile.namedBy !== 'flag' && env['AWS_ACCESS_KEY_ID']) return [];
    const session = ssoSessionOf(profile.name, files);
    if (session === undefined) return [];
    const token = new SsoCache(env).readToken(session);
    const name = describeSession(session);
    const fix = `run: ssm-proxy login${profile.namedBy === undefined ? '' : ` --profile ${profile.name}`}`;
    const mend = { kind: 'sso-login', profile: profile.name } as const;
    if (token === undefined) return [{ ...failed(id, what, `nobody is logged in to ${name}`, fix), mend }];
    const leftMs = token.expiresAt.getTime() - Date.now();
    const { refreshToken, registration } = token;
    const isProlonged =
      session.name !== undefined &&
      refreshToken !== undefined &&
      (registration?.expiresAt.getTime() ?? 0) > Date.now();
    if (leftMs > 0) {
      return [
        ok(id, what, `${name}, ends ${inTime(leftMs)}${isProlonged ? ' and is prolonged by itself' : ''}`),
      ];
    }
    if (isProlonged)
      return [ok(id, what, `${name}, ended ${inTime(leftMs)}; it can be prolonged without you`)];
    return [{ ...failed(id, what, `the login to ${name} ended ${inTime(leftMs)}`, fix), mend }];
  } catch (thrown) {
    // Said where the profile is chosen.
    return codeOf(thrown) === 'PROFILE_NOT_FOUND' ? [] : [failure(id, what, thrown)];
  }
}
