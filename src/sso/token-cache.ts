/**
 * Logins and client registrations on disk, in the files, names and fields of the AWS CLI (`~/.aws/sso/cache`), so that
 * one login serves the CLI, boto3, SkyPilot and us. Contents are secrets: mode 0600, never in logs or errors.
 *
 * A token is in sha1(session name, or start URL).json; a registration in sha1 of Python's JSON of what it is for.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { writePrivateFile } from './private-file.ts';
import { cacheKeyText } from './sso-session.ts';
import type { SsoSession } from './sso-session.ts';

type Environment = Readonly<Record<string, string | undefined>>;
type Fields = Readonly<Record<string, unknown>>;

/** A login: secret. */
export interface SsoToken {
  readonly startUrl: string;
  readonly region: string;
  readonly accessToken: string;
  readonly expiresAt: Date;
  /** With it and the registration the login can be prolonged. */
  readonly refreshToken: string | undefined;
  readonly registration: SsoRegistration | undefined;
}

/** This machine as a client of IAM Identity Center: secret. */
export interface SsoRegistration {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly expiresAt: Date;
  /** Empty: device codes. */
  readonly grantTypes: readonly string[];
  readonly scopes: readonly string[];
}

/** A login as it was found on disk. */
export interface StoredToken {
  readonly path: string;
  readonly token: SsoToken;
}

export class SsoCache {
  readonly #home: string;

  constructor(env: Environment) {
    this.#home = env['HOME'] || env['USERPROFILE'] || homedir();
  }

  get directory(): string {
    return join(this.#home, '.aws', 'sso', 'cache');
  }

  tokenPath(session: SsoSession): string {
    return this.#path(sha1(cacheKeyText(session)));
  }

  /** Undefined for a missing, foreign or broken file. It may have expired. */
  readToken(session: SsoSession): SsoToken | undefined {
    return asToken(readJson(this.tokenPath(session)));
  }

  writeToken(session: SsoSession, token: SsoToken): void {
    const { registration } = token;
    write(this.tokenPath(session), {
      startUrl: token.startUrl,
      region: token.region,
      accessToken: token.accessToken,
      expiresAt: timestamp(token.expiresAt),
      ...(registration !== undefined && {
        clientId: registration.clientId,
        clientSecret: registration.clientSecret,
        registrationExpiresAt: timestamp(registration.expiresAt),
      }),
      ...(token.refreshToken !== undefined && { refreshToken: token.refreshToken }),
    });
  }

  /** Every login on this machine, whoever made it. */
  tokens(): readonly StoredToken[] {
    return jsonFiles(this.directory).flatMap((path) => {
      const token = asToken(readJson(path));
      return token === undefined ? [] : [{ path, token }];
    });
  }

  readRegistration(session: SsoSession): SsoRegistration | undefined {
    const fields = readJson(this.#path(registrationKey(session)));
    const expiresAt = asDate(fields['expiresAt']);
    const { clientId, clientSecret } = fields;
    if (typeof clientId !== 'string' || typeof clientSecret !== 'string' || expiresAt === undefined) {
      return undefined;
    }
    const grantTypes = asTexts(fields['grantTypes']);
    return { clientId, clientSecret, expiresAt, grantTypes, scopes: asTexts(fields['scopes']) };
  }

  writeRegistration(session: SsoSession, registration: SsoRegistration): void {
    const { clientId, clientSecret, expiresAt, grantTypes, scopes } = registration;
    write(this.#path(registrationKey(session)), {
      clientId,
      clientSecret,
      expiresAt: timestamp(expiresAt),
      ...(scopes.length > 0 && { scopes }),
      ...(grantTypes.length > 0 && { grantTypes }),
    });
  }

  /** Deletes the role credentials that the AWS CLI has got through SSO; returns how many. */
  dropCliRoleCredentials(): number {
    const found = jsonFiles(join(this.#home, '.aws', 'cli', 'cache')).filter(
      (path) => readJson(path)['ProviderType'] === 'sso',
    );
    for (const path of found) rmSync(path, { force: true });
    return found.length;
  }

  #path(key: string): string {
    return join(this.directory, `${key}.json`);
  }
}

/** The CLI's key, byte for byte: json.dumps(..., sort_keys=True) with its separators and ASCII only. */
export function registrationKey({ name, startUrl, region, scopes }: SsoSession): string {
  const list = scopes === undefined ? 'null' : `[${scopes.map(pythonString).join(', ')}]`;
  const sessionName = name === undefined ? 'null' : pythonString(name);
  return sha1(
    `{"region": ${pythonString(region)}, "scopes": ${list}, "session_name": ${sessionName}, ` +
      `"startUrl": ${pythonString(startUrl)}, "tool": "botocore"}`,
  );
}

function pythonString(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}

function write(path: string, fields: Fields): void {
  writePrivateFile(path, JSON.stringify(fields));
}

function jsonFiles(directory: string): readonly string[] {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith('.json'));
    return names.sort().map((name) => join(directory, name));
  } catch {
    return [];
  }
}

function readJson(path: string): Fields {
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof content === 'object' && content !== null ? (content as Fields) : {};
  } catch {
    return {};
  }
}

function asToken(fields: Fields): SsoToken | undefined {
  const { accessToken, startUrl, region, refreshToken, clientId, clientSecret } = fields;
  const expiresAt = asDate(fields['expiresAt']);
  if (typeof accessToken !== 'string' || expiresAt === undefined) return undefined;
  const registeredUntil = asDate(fields['registrationExpiresAt']);
  const isRegistered =
    typeof clientId === 'string' && typeof clientSecret === 'string' && registeredUntil !== undefined;
  return {
    startUrl: typeof startUrl === 'string' ? startUrl : '',
    region: typeof region === 'string' ? region : '',
    accessToken,
    expiresAt,
    refreshToken: typeof refreshToken === 'string' ? refreshToken : undefined,
    registration: isRegistered
      ? { clientId, clientSecret, expiresAt: registeredUntil, grantTypes: [], scopes: [] }
      : undefined,
  };
}

/** Older CLIs wrote `2020-06-17T10:02:08UTC`. */
function asDate(value: unknown): Date | undefined {
  const time = typeof value === 'string' ? Date.parse(value.replace(/UTC$/, 'Z')) : NaN;
  return Number.isNaN(time) ? undefined : new Date(time);
}

function asTexts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
}

/** Whole seconds, as the CLI writes them: some readers know no others. */
function timestamp(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}
