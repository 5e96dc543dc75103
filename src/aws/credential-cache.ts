/**
 * Temporary credentials of assumed roles and of SSO, kept where the AWS CLI keeps them (~/.aws/cli/cache) and as it does:
 * a login or an MFA code that was given to the CLI serves here too, and the other way round. Without it every process
 * would ask STS or SSO again, which is a round trip to another host and counts against their rate limits.
 *
 * File names are the SHA-1 of the profile's settings as JSON, spelled the way Python's json.dumps does it: with a blank
 * after commas and colons for roles, without for SSO (botocore's CachedCredentialFetcher and SSOCredentialFetcher).
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { AwsCredentials } from './credential-store.ts';
import type { IniSection } from './ini-file.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const PRIVATE_DIRECTORY = 0o700;
const PRIVATE_FILE = 0o600;
/** Larger files are not of this kind. */
const MAX_BYTES = 64 * 1024;
/** What has less time left is asked for anew, as by the CLI. Milliseconds. */
const LEAST_LEFT_MS = 15 * 60_000;

/** Path of the file for a profile; undefined when its credentials are not of a kind that is kept, or there is no home. */
export function credentialCacheFile(settings: IniSection, env: Environment): string | undefined {
  const key = roleKey(settings) ?? ssoKey(settings);
  return key === undefined ? undefined : fileOf(key, env);
}

/** The same for `--role`. `source` is no key of the CLI's: whose credentials the role is assumed with. */
export function assumedRoleFile(
  { roleArn, sessionName, source }: { roleArn: string; sessionName: string; source: string },
  env: Environment,
): string | undefined {
  return fileOf(
    pythonJson({ RoleArn: roleArn, RoleSessionName: sessionName, Source: source }, ', ', ': '),
    env,
  );
}

function fileOf(key: string, env: Environment): string | undefined {
  const home = env['HOME'];
  if (home === undefined || !isAbsolute(home)) return undefined;
  return join(home, '.aws', 'cli', 'cache', `${createHash('sha1').update(key).digest('hex')}.json`);
}

/** Undefined when there are none, none of this user's own, or none with enough time left. `wallNow`: ms since the epoch. */
export function readCachedCredentials(file: string, wallNow: number): AwsCredentials | undefined {
  const stored = readOwn(file);
  if (!isObject(stored) || !isObject(stored['Credentials'])) return undefined;
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration, AccountId } = stored['Credentials'];
  if (typeof AccessKeyId !== 'string' || typeof SecretAccessKey !== 'string') return undefined;
  if (typeof SessionToken !== 'string' || typeof Expiration !== 'string') return undefined;
  const expiration = new Date(Expiration);
  // Also false for a text that is no time.
  if (!(expiration.getTime() - wallNow >= LEAST_LEFT_MS)) return undefined;
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
    expiration,
    ...(typeof AccountId === 'string' && { accountId: AccountId }),
  };
}

/** Keeps them, if they are temporary and say until when. Whole or not at all; trouble with the disk is ignored. */
export function writeCachedCredentials(
  file: string,
  settings: IniSection,
  credentials: AwsCredentials,
): void {
  const { accessKeyId, secretAccessKey, sessionToken, expiration, accountId } = credentials;
  if (sessionToken === undefined || expiration === undefined) return;
  const content = {
    ...(settings['role_arn'] === undefined && { ProviderType: 'sso' }),
    Credentials: {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      SessionToken: sessionToken,
      Expiration: expiration.toISOString().replace(/\.\d+Z$/, 'Z'),
      ...(accountId !== undefined && { AccountId: accountId }),
    },
  };
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    mkdirSync(join(file, '..'), { recursive: true, mode: PRIVATE_DIRECTORY });
    writeFileSync(temporary, JSON.stringify(content), { mode: PRIVATE_FILE, flag: 'wx' });
    renameSync(temporary, file);
  } catch {
    try {
      unlinkSync(temporary);
    } catch {
      // It was not made.
    }
  }
}

/** Undefined for profiles that assume no role by AssumeRole. */
function roleKey(settings: IniSection): string | undefined {
  const RoleArn = settings['role_arn'];
  if (RoleArn === undefined || settings['web_identity_token_file'] !== undefined) return undefined;
  const seconds = Number(settings['duration_seconds']);
  const parameters = {
    ...(Number.isInteger(seconds) && { DurationSeconds: seconds }),
    ...(settings['external_id'] !== undefined && { ExternalId: settings['external_id'] }),
    RoleArn,
    ...(settings['role_session_name'] !== undefined && { RoleSessionName: settings['role_session_name'] }),
    ...(settings['mfa_serial'] !== undefined && { SerialNumber: settings['mfa_serial'] }),
  };
  return pythonJson(parameters, ', ', ': ');
}

function ssoKey(settings: IniSection): string | undefined {
  const { sso_account_id: accountId, sso_role_name: roleName, sso_session: sessionName } = settings;
  if (settings['role_arn'] !== undefined || accountId === undefined || roleName === undefined)
    return undefined;
  if (sessionName !== undefined) return pythonJson({ accountId, roleName, sessionName }, ',', ':');
  const startUrl = settings['sso_start_url'];
  return startUrl === undefined ? undefined : pythonJson({ accountId, roleName, startUrl }, ',', ':');
}

/** As json.dumps: keys in the order given, characters beyond ASCII escaped. */
function pythonJson(values: Readonly<Record<string, string | number>>, comma: string, colon: string): string {
  const text = (value: string | number): string =>
    JSON.stringify(value).replace(
      /[\u007f-\uffff]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  return `{${Object.entries(values)
    .map(([key, value]) => `${text(key)}${colon}${text(value)}`)
    .join(comma)}}`;
}

function isObject(value: unknown): value is Readonly<Partial<Record<string, unknown>>> {
  return typeof value === 'object' && value !== null;
}

/** The parsed content of a file of this user's own that nobody else can write to; undefined for anything else. */
function readOwn(path: string): unknown {
  try {
    // Without O_NONBLOCK a FIFO by that name would never open.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { uid, mode, size } = fstatSync(file);
      if (uid !== process.geteuid?.() || (mode & 0o022) !== 0 || size > MAX_BYTES) return undefined;
      return JSON.parse(readFileSync(file, 'utf8')) as unknown;
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}
