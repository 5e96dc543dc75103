/** Which profile applies, and whether what it says can work at all: checked here because the SDK's chain would skip
 *  a broken profile silently and go on to another identity. */
import { ProxyError } from '../errors.ts';
import type { ConfigFiles } from './config-files.ts';
import type { IniSection } from './ini-file.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface Profile {
  /** `default` when none is named. */
  readonly name: string;
  /** Who named it; undefined when nobody did. */
  readonly namedBy: 'flag' | 'AWS_PROFILE' | 'AWS_DEFAULT_PROFILE' | undefined;
  /** Empty when the profile is the unnamed default and does not exist. */
  readonly settings: IniSection;
}

const DEFAULT_PROFILE = 'default';
/** Longest list of names in a hint. */
const MAX_LISTED = 10;

/** Flag, then AWS_PROFILE, then AWS_DEFAULT_PROFILE, then `default`. PROFILE_NOT_FOUND if a named one is missing. */
export function selectProfile(flag: string | undefined, env: Environment, files: ConfigFiles): Profile {
  const candidates = [
    ['flag', flag],
    ['AWS_PROFILE', env['AWS_PROFILE']],
    ['AWS_DEFAULT_PROFILE', env['AWS_DEFAULT_PROFILE']],
  ] as const;
  for (const [namedBy, name] of candidates) {
    if (name === undefined || name === '') continue;
    const settings = files.profiles.get(name);
    if (settings === undefined && name !== DEFAULT_PROFILE) throw profileNotFound(name, namedBy, files);
    return { name, namedBy, settings: settings ?? {} };
  }
  return { name: DEFAULT_PROFILE, namedBy: undefined, settings: files.profiles.get(DEFAULT_PROFILE) ?? {} };
}

function profileNotFound(name: string, namedBy: string, files: ConfigFiles): ProxyError {
  const origin = namedBy === 'flag' ? '' : ` (from ${namedBy})`;
  return new ProxyError('PROFILE_NOT_FOUND', `the AWS profile ${name}${origin} does not exist`, {
    hint: [describeProfiles(files), ...files.problems].join('; '),
  });
}

/** `profiles that exist: a, b` or where they would be, for hints. */
export function describeProfiles(files: ConfigFiles): string {
  const names = [...files.profiles.keys()].sort();
  if (names.length === 0) return `no profile exists in ${files.configPath} or ${files.credentialsPath}`;
  const more = names.length > MAX_LISTED ? `, and ${String(names.length - MAX_LISTED)} more` : '';
  return `profiles that exist: ${names.slice(0, MAX_LISTED).join(', ')}${more}`;
}

/** Keys that make a profile a source of credentials. */
const CREDENTIAL_KEYS = [
  'aws_access_key_id',
  'aws_secret_access_key',
  'role_arn',
  'credential_process',
  'web_identity_token_file',
  'login_session',
  'sso_session',
  'sso_start_url',
  'sso_account_id',
  'sso_role_name',
  // Without role_arn it stands for the named source itself.
  'credential_source',
] as const;

/** True when the profile says where credentials come from, so that no other source may be tried. */
export function namesCredentials(settings: IniSection): boolean {
  return CREDENTIAL_KEYS.some((key) => settings[key] !== undefined);
}

export function isSso(settings: IniSection): boolean {
  return settings['sso_session'] !== undefined || settings['sso_start_url'] !== undefined;
}

/**
 * The profile and those it takes its credentials from, in that order. CONFIG_INVALID for references to sections
 * that do not exist and for combinations that cannot work.
 */
export function profileChain(name: string, files: ConfigFiles): readonly IniSection[] {
  const chain: IniSection[] = [];
  const visited: string[] = [];
  let current: string | undefined = name;
  while (current !== undefined) {
    const settings: IniSection = files.profiles.get(current) ?? {};
    chain.push(settings);
    const previous = visited.at(-1);
    visited.push(current);
    checkSso(current, settings, files);
    if (settings['role_arn'] === undefined || settings['web_identity_token_file'] !== undefined) break;
    const source: string | undefined = settings['source_profile'];
    checkRole(current, settings);
    if (source === undefined || source === current) break;
    if (!files.profiles.has(source)) {
      throw invalid(`profile ${current} names source_profile ${source}, which does not exist`, files);
    }
    if (visited.includes(source)) {
      throw invalid(`the source_profile of profile ${previous ?? current} leads back to itself`, files);
    }
    current = source;
  }
  return chain;
}

function checkRole(name: string, settings: IniSection): void {
  const hasSource = settings['source_profile'] !== undefined;
  const hasCredentialSource = settings['credential_source'] !== undefined;
  if (hasSource && hasCredentialSource) {
    throw invalid(`profile ${name} has both source_profile and credential_source; one must go`);
  }
  if (!hasSource && !hasCredentialSource) {
    throw invalid(`profile ${name} has role_arn, but neither source_profile nor credential_source`);
  }
}

function checkSso(name: string, settings: IniSection, files: ConfigFiles): void {
  const sessionName = settings['sso_session'];
  if (sessionName === undefined) return;
  const session = files.ssoSessions.get(sessionName);
  if (session === undefined) {
    throw invalid(
      `profile ${name} names sso_session ${sessionName}, and ${files.configPath} has no [sso-session ${sessionName}]`,
    );
  }
  for (const key of ['sso_start_url', 'sso_region']) {
    if (session[key] === undefined) throw invalid(`[sso-session ${sessionName}] has no ${key}`);
  }
}

function invalid(message: string, files?: ConfigFiles): ProxyError {
  return new ProxyError(
    'CONFIG_INVALID',
    message,
    files === undefined ? {} : { hint: describeProfiles(files) },
  );
}
