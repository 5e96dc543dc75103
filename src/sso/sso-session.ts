/**
 * Which IAM Identity Center login a profile takes its credentials from: a `[sso-session x]` section, or in older
 * profiles a start URL of their own. Several profiles share one login.
 */
import type { ConfigFiles } from '../aws/config-files.ts';
import type { Profile } from '../aws/profile.ts';
import { profileChain } from '../aws/profile.ts';
import { checkRegion } from '../aws/region.ts';
import type { IniSection } from '../aws/ini-file.ts';
import { ProxyError } from '../errors.ts';

export interface SsoSession {
  /** Of the `[sso-session]` section; undefined for the older form. */
  readonly name: string | undefined;
  readonly startUrl: string;
  readonly region: string;
  /** `sso_registration_scopes`; undefined when the section does not say. */
  readonly scopes: readonly string[] | undefined;
}

/** Longest list in a hint. */
const MAX_LISTED = 10;

/** The login behind a profile; undefined when neither it nor its source profiles use SSO. CONFIG_INVALID. */
export function ssoSessionOf(profileName: string, files: ConfigFiles): SsoSession | undefined {
  for (const settings of profileChain(profileName, files)) {
    const name = settings['sso_session'];
    if (name !== undefined) return namedSession(name, files);
    if (settings['sso_start_url'] !== undefined) {
      return fromSettings(undefined, settings, `profile ${profileName}`);
    }
  }
  return undefined;
}

/** The `[sso-session name]` section. CONFIG_INVALID when it does not exist or lacks a key. */
export function namedSession(name: string, files: ConfigFiles): SsoSession {
  const section = files.ssoSessions.get(name);
  if (section === undefined) {
    throw new ProxyError('CONFIG_INVALID', `${files.configPath} has no [sso-session ${name}]`, {
      hint: describeSessions(files),
    });
  }
  return fromSettings(name, section, `[sso-session ${name}]`);
}

/**
 * The login that a command means: that of the profile; where the profile has none and nobody named it, the only one
 * that is configured. CONFIG_INVALID otherwise.
 */
export function chooseSession(profile: Profile, files: ConfigFiles): SsoSession {
  const own = ssoSessionOf(profile.name, files);
  if (own !== undefined) return own;
  const all = allSessions(files);
  const [only, second] = all;
  if (profile.namedBy === undefined && only !== undefined && second === undefined) return only;
  const message =
    profile.namedBy === undefined
      ? `no profile is named, and ${files.profiles.has(profile.name) ? 'the default profile does not use SSO' : 'there is no default profile'}`
      : `profile ${profile.name} does not use SSO`;
  const hint =
    all.length === 0
      ? 'set SSO up with: ssm-proxy login --configure'
      : `name a profile with --profile; ${describeSsoProfiles(files)}`;
  throw new ProxyError('CONFIG_INVALID', message, { hint });
}

/** Every login that the config files know, each once. Sections that lack a key are left out. */
export function allSessions(files: ConfigFiles): readonly SsoSession[] {
  const sessions = [...files.ssoSessions.keys()].map((name) => attempt(() => namedSession(name, files)));
  const older = [...files.profiles]
    .filter(
      ([, settings]) => settings['sso_session'] === undefined && settings['sso_start_url'] !== undefined,
    )
    .map(([name, settings]) => attempt(() => fromSettings(undefined, settings, `profile ${name}`)));
  const byKey = new Map<string, SsoSession>();
  for (const session of [...sessions, ...older]) {
    if (session !== undefined) byKey.set(cacheKeyText(session), session);
  }
  return [...byKey.values()];
}

/** What names a login in the token cache: its name, in the older form its start URL. */
export function cacheKeyText({ name, startUrl }: SsoSession): string {
  return name ?? startUrl;
}

/** How people would know it. */
export function describeSession({ name, startUrl }: SsoSession): string {
  return name === undefined ? startUrl : `${name} (${startUrl})`;
}

function fromSettings(name: string | undefined, settings: IniSection, where: string): SsoSession {
  const read = (key: string): string => {
    const value = settings[key];
    if (value === undefined) throw new ProxyError('CONFIG_INVALID', `${where} has no ${key}`);
    return value;
  };
  const startUrl = checkStartUrl(read('sso_start_url'), where);
  const region = read('sso_region');
  checkRegion(region, 'profile');
  return { name, startUrl, region, scopes: parseScopes(settings['sso_registration_scopes']) };
}

/** CONFIG_INVALID unless it is an https URL: the login happens there. */
export function checkStartUrl(text: string, where: string): string {
  if (URL.canParse(text) && new URL(text).protocol === 'https:') return text;
  throw new ProxyError('CONFIG_INVALID', `sso_start_url of ${where} is not an https URL`);
}

/** `a, b` as a list; undefined for none. */
export function parseScopes(text: string | undefined): readonly string[] | undefined {
  const scopes = (text ?? '')
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  return scopes.length === 0 ? undefined : scopes;
}

function describeSessions(files: ConfigFiles): string {
  const names = [...files.ssoSessions.keys()].sort();
  return names.length === 0 ? 'it has no [sso-session]' : `sessions that exist: ${listed(names)}`;
}

function describeSsoProfiles(files: ConfigFiles): string {
  const names = [...files.profiles.keys()]
    .filter((name) => attempt(() => ssoSessionOf(name, files)) !== undefined)
    .sort();
  return names.length === 0 ? describeSessions(files) : `profiles with SSO: ${listed(names)}`;
}

function listed(names: readonly string[]): string {
  const more = names.length > MAX_LISTED ? `, and ${String(names.length - MAX_LISTED)} more` : '';
  return names.slice(0, MAX_LISTED).join(', ') + more;
}

/** Undefined for a section that cannot be used: lists leave it out. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
