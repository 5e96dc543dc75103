/**
 * The files that SkyPilot keeps in the user's home: its config, and one ssh config file for each cluster that it
 * launched from here.
 *
 *   Host mycluster                 Host mycluster-worker1
 *     HostName 10.0.1.10             HostName 10.0.1.11
 *     ProxyCommand ...               ProxyCommand ...
 */
import { lstatSync, readFileSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

export interface GeneratedHost {
  /** `mycluster`, `mycluster-worker1`. */
  readonly name: string;
  readonly hostName: string | undefined;
  readonly proxyCommand: string | undefined;
  readonly file: string;
}

/** Clusters of one user. */
const MAX_FILES = 500;
const MAX_BYTES = 1024 * 1024;

/** SKYPILOT_GLOBAL_CONFIG, or ~/.sky/config.yaml. */
export function skyConfigPath(env: Environment): string {
  const given = env['SKYPILOT_GLOBAL_CONFIG'];
  if (given !== undefined && given !== '') return given.replace(/^~(?=\/)/, homeOf(env));
  return join(homeOf(env), '.sky', 'config.yaml');
}

/** Undefined when there is none, or it cannot be read. */
export function readSkyFile(path: string): string | undefined {
  try {
    return lstatSync(path).size > MAX_BYTES ? undefined : readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The hosts of all clusters, in the order of their files. None without SkyPilot. */
export function generatedHosts(env: Environment): readonly GeneratedHost[] {
  const folder = join(homeOf(env), '.sky', 'generated', 'ssh');
  return namesIn(folder).flatMap((name) => {
    const file = join(folder, name);
    return parseHosts(readSkyFile(file) ?? '', file);
  });
}

/** The cluster files that SkyPilot restores on every launch: `auth.ssh_proxy_command` is in them. */
export function generatedClusterFiles(env: Environment): readonly string[] {
  const folder = join(homeOf(env), '.sky', 'generated');
  return namesIn(folder)
    .filter((name) => /\.ya?ml$/.test(name))
    .map((name) => join(folder, name));
}

/** Host lines with several names give one entry each. */
export function parseHosts(text: string, file: string): readonly GeneratedHost[] {
  const hosts: GeneratedHost[] = [];
  let names: readonly string[] = [];
  let values: Map<string, string> = new Map();
  const finish = (): void => {
    for (const name of names) {
      hosts.push({
        name,
        hostName: values.get('hostname'),
        proxyCommand: values.get('proxycommand'),
        file,
      });
    }
  };
  for (const line of text.split(/\r?\n/)) {
    const [, keyword = '', value = ''] = /^\s*([A-Za-z]+)(?:\s*=\s*|\s+)(.*?)\s*$/.exec(line) ?? [];
    const key = keyword.toLowerCase();
    if (key === 'host' || key === 'match') {
      finish();
      names = key === 'host' ? value.split(/\s+/).filter((name) => !/[*?!]/.test(name)) : [];
      values = new Map();
    } else if (key !== '' && !values.has(key)) {
      values.set(key, value);
    }
  }
  finish();
  return hosts;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .sort()
      .slice(0, MAX_FILES);
  } catch {
    return [];
  }
}

function homeOf(env: Environment): string {
  return env['HOME'] ?? homedir();
}
