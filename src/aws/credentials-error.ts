/**
 * What the SDK's credential providers throw, as our own errors. Most of them keep nothing but a text, so this file
 * is about texts; tests run the providers themselves and notice when a text changes.
 */
import { ProxyError } from '../errors.ts';
import type { Network } from '../transport/network.ts';
import { connectionFailure, oneLine, serviceErrorOf, translateAwsError } from './errors.ts';
import type { IniSection } from './ini-file.ts';
import type { Profile } from './profile.ts';
import { isSso } from './profile.ts';

export interface CredentialsFailure {
  readonly error: unknown;
  /** The last failed connection of the providers, which wrap such errors into texts. */
  readonly connection: unknown;
  readonly profile: Profile;
  /** The profile and those it takes its credentials from. */
  readonly chain: readonly IniSection[];
  readonly network: Network;
  /** `profiles that exist: ...`, for hints. */
  readonly profilesText: string;
}

/** CREDENTIALS_MISSING, _EXPIRED or _INVALID, ACCESS_DENIED, or what a failed connection means. */
export function translateCredentialsError(failure: CredentialsFailure): ProxyError {
  const { error, profile, chain, network } = failure;
  if (error instanceof ProxyError) return error;
  const connection = connectionFailure(failure.connection, network);
  if (connection !== undefined) return connection;
  if (serviceErrorOf(error) !== undefined) return translateAwsError(error, stsOperation(chain));
  const text = oneLine(error instanceof Error ? error.message : String(error));
  const fail = (
    code: 'CREDENTIALS_EXPIRED' | 'CREDENTIALS_MISSING' | 'ACCESS_DENIED',
    message: string,
    hint: string,
  ) => new ProxyError(code, message, { hint, cause: error });

  if (chain.some(isSso)) {
    if (/ForbiddenException/.test(text)) {
      return fail(
        'ACCESS_DENIED',
        `SSO does not give profile ${profile.name} its role: ${text}`,
        'check sso_account_id and sso_role_name of the profile',
      );
    }
    if (/expired|aws sso login|UnauthorizedException|Cannot refresh/i.test(text)) {
      const option = profile.namedBy === undefined ? '' : ` --profile ${profile.name}`;
      return fail(
        'CREDENTIALS_EXPIRED',
        `the SSO login of profile ${profile.name} has expired or is missing`,
        `run: ssm-proxy login${option}`,
      );
    }
  }
  if (/multi-factor authentication/i.test(text)) {
    return fail(
      'CREDENTIALS_MISSING',
      `profile ${profile.name} asks for an MFA code, which nobody can type here`,
      'get temporary credentials first and name their profile',
    );
  }
  if (/expired|re-?authenticate/i.test(text)) {
    return fail(
      'CREDENTIALS_EXPIRED',
      `the credentials of profile ${profile.name} have expired: ${text}`,
      'log in again where they come from',
    );
  }
  const isNowhere = /could not load credentials from any providers/i.test(text);
  const forProfile = profile.namedBy === undefined && isNowhere ? '' : ` for profile ${profile.name}`;
  return fail(
    'CREDENTIALS_MISSING',
    `no AWS credentials${forProfile}${isNowhere ? '' : `: ${text}`}`,
    `use --profile, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; ${failure.profilesText}`,
  );
}

function stsOperation(chain: readonly IniSection[]): string {
  const isAssumeRole = chain.some((settings) => settings['role_arn'] && !settings['web_identity_token_file']);
  return isAssumeRole ? 'AssumeRole' : 'AssumeRoleWithWebIdentity';
}
