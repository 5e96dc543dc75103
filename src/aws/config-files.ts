/**
 * `~/.aws/config` and `~/.aws/credentials` as one set of profiles. Where both files give a key, the credentials
 * file wins, as in the AWS CLI and the SDKs.
 *
 * A missing file is no error. One that cannot be read is none either (environment variables may suffice), but it is
 * remembered, to be named when something turns out to be missing.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { IniSection, IniSections } from './ini-file.ts';
import { parseIni } from './ini-file.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigFiles {
  readonly configPath: string;
  readonly credentialsPath: string;
  /** By profile name. */
  readonly profiles: ReadonlyMap<string, IniSection>;
  /** `[sso-session x]` sections by name. */
  readonly ssoSessions: ReadonlyMap<string, IniSection>;
  /** `[services x]` sections by name. */
  readonly services: ReadonlyMap<string, IniSection>;
  /** One sentence for each file that exists and cannot be read. */
  readonly problems: readonly string[];
}

/** Reads both files. AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE may name others; `~/` in them is the home. */
export function readConfigFiles(env: Environment): ConfigFiles {
  const home = env['HOME'] ?? env['USERPROFILE'] ?? homedir();
  const locate = (variable: string, name: string): string => {
    const given = env[variable];
    if (given === undefined || given === '') return join(home, '.aws', name);
    return given.startsWith('~/') ? join(home, given.slice(2)) : given;
  };
  const configPath = locate('AWS_CONFIG_FILE', 'config');
  const credentialsPath = locate('AWS_SHARED_CREDENTIALS_FILE', 'credentials');
  const problems: string[] = [];
  const config = readIni(configPath, problems);
  const credentials = readIni(credentialsPath, problems);

  const profiles = new Map<string, IniSection>();
  // `[profile default]` is accepted beside `[default]`, which wins where both exist.
  for (const [name, section] of subsections(config, 'profile')) profiles.set(name, section);
  const plainDefault = config.get('default');
  if (plainDefault !== undefined) profiles.set('default', plainDefault);
  for (const [name, section] of credentials) profiles.set(name, { ...profiles.get(name), ...section });
  return {
    configPath,
    credentialsPath,
    profiles,
    ssoSessions: subsections(config, 'sso-session'),
    services: subsections(config, 'services'),
    problems,
  };
}

function readIni(path: string, problems: string[]): IniSections {
  try {
    return parseIni(readFileSync(path, 'utf8'));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    if (code !== 'ENOENT' && code !== 'ENOTDIR') problems.push(`${path} cannot be read (${code})`);
    return new Map();
  }
}

function subsections(sections: IniSections, prefix: string): Map<string, IniSection> {
  const found = new Map<string, IniSection>();
  for (const [name, section] of sections) {
    if (name.startsWith(`${prefix} `)) found.set(name.slice(prefix.length + 1), section);
  }
  return found;
}
