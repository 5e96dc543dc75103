/**
 * `--role`: a role that is assumed with the credentials that profile and environment give, and used in their place for
 * every call. What `role_arn` with `source_profile` is in ~/.aws/config, for those who do not want a profile for each
 * role. MFA, an external ID and other durations are for profiles.
 *
 * Kept like the AWS CLI keeps roles (credential-cache.ts). The file's name also tells whose credentials were used, so
 * that another profile never gets a role that it could not assume itself.
 */
import { userInfo } from 'node:os';
import { ProxyError } from '../errors.ts';
import type { AwsContext } from './context.ts';
import { assumedRoleFile, readCachedCredentials, writeCachedCredentials } from './credential-cache.ts';
import type { AwsCredentials, CredentialSource } from './credential-store.ts';

export const ROLE_ARN = /^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/;

export interface RoleSettings {
  readonly roleArn: string;
  /** With the credentials that assume it. */
  readonly base: AwsContext;
  /** Whose those are, as far as that is known without asking. */
  readonly baseName: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export class RoleCredentials implements CredentialSource {
  readonly #settings: RoleSettings;
  readonly #sessionName: string;
  readonly #file: string | undefined;

  /** USAGE for what is no ARN of a role. */
  constructor(settings: RoleSettings) {
    const { roleArn, baseName, env } = settings;
    checkRole(roleArn);
    this.#settings = settings;
    this.#sessionName = sessionName(env);
    this.#file = assumedRoleFile({ roleArn, sessionName: this.#sessionName, source: baseName }, env);
  }

  local(): AwsCredentials | undefined {
    return this.#file === undefined ? undefined : readCachedCredentials(this.#file, Date.now());
  }

  async fetch(): Promise<AwsCredentials> {
    const { roleArn, base } = this.#settings;
    const { assumeRole } = await import('./assume-role.ts');
    const credentials = await assumeRole(base, roleArn, this.#sessionName);
    if (this.#file !== undefined) writeCachedCredentials(this.#file, { role_arn: roleArn }, credentials);
    base.log.debug('credentials', { source: roleArn, expires: credentials.expiration?.toISOString() });
    return credentials;
  }
}

/** USAGE. */
export function checkRole(roleArn: string): void {
  if (ROLE_ARN.test(roleArn)) return;
  throw new ProxyError('USAGE', `${JSON.stringify(roleArn.slice(0, 100))} is not the ARN of a role`, {
    hint: 'give it whole: arn:aws:iam::111122223333:role/NAME',
  });
}

/** The same for every process of a user, so that each may resume and end what another has started. */
function sessionName(env: RoleSettings['env']): string {
  const given = env['AWS_ROLE_SESSION_NAME'];
  if (given) return given;
  try {
    return `ssm-proxy-${userInfo().username.replace(/[^\w+=,.@-]/g, '-')}`.slice(0, 64);
  } catch {
    // A container's user without a name.
    return 'ssm-proxy';
  }
}
