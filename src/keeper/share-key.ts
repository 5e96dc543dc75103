/**
 * What a connection may share with another: the same identity, the same target, the same settings. Everything that
 * could make it another identity is part of the key: profile, role, regions, endpoints, proxies, AWS's variables, and what the
 * config files say at this moment. When in doubt two keys differ, and so nothing is shared.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { ConnectRequest, SharedTarget } from './wire.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that AWS's SDKs, proxies and TLS go by, and the places of files. */
const IDENTITY_VARIABLE =
  /^(AWS_.*|(https?|no|all)_proxy|HOME|XDG_(CONFIG|CACHE|RUNTIME)_(HOME|DIR)|SSL_CERT_(FILE|DIR)|USERPROFILE)$/i;
/** Node reads these once, at its start. */
const PROCESS_VARIABLE = /^(NODE_.*|SSL_CERT_(FILE|DIR)|OPENSSL_CONF|TZ)$/;
/** Differ between shells and say nothing about AWS: left out where all other variables count. */
const PASSING_VARIABLE =
  /^(_|SHLVL|PWD|OLDPWD|TERM.*|COLORTERM|COLUMNS|LINES|SSH_.*|TMUX.*|STY|WINDOW.*|DISPLAY|WAYLAND_.*|XDG_SESSION.*|GPG_TTY|HISTFILE|SSM_PROXY_.*)$/;
/** A program that gives out credentials may look at anything. */
const CREDENTIAL_PROGRAM = /credential_process/;

export type ShareKeys = Pick<ConnectRequest, 'key' | 'identity' | 'processKey' | 'env'>;

/** Undefined: this connection cannot be shared, since files are named relative to the working directory. */
export function shareKeys(target: SharedTarget, env: Environment): ShareKeys | undefined {
  const home = env['HOME'] ?? homedir();
  const paths = [
    env['AWS_CONFIG_FILE'] ?? join(home, '.aws', 'config'),
    env['AWS_SHARED_CREDENTIALS_FILE'] ?? join(home, '.aws', 'credentials'),
  ];
  const named = ['AWS_CA_BUNDLE', 'AWS_WEB_IDENTITY_TOKEN_FILE'].flatMap((name) => env[name] ?? []);
  if (![...paths, ...named].every((path) => isAbsolute(path))) return undefined;
  const files = paths.map(readOr);
  const countsAll = files.some((text) => CREDENTIAL_PROGRAM.test(text));
  const counted = entriesOf(env, (name) =>
    countsAll ? !PASSING_VARIABLE.test(name) : IDENTITY_VARIABLE.test(name),
  );
  const { profile, role, regions, endpointUrl, ssmmessagesEndpoint, ...rest } = target;
  const identity = digest([profile, role, regions, endpointUrl, ssmmessagesEndpoint, counted, files]);
  return {
    key: digest([identity, rest]),
    identity,
    processKey: processKey(env),
    env: Object.fromEntries(counted),
  };
}

/** Settings that hold for a process as a whole. */
export function processKey(env: Environment): string {
  return digest([entriesOf(env, (name) => PROCESS_VARIABLE.test(name)), process.version]);
}

function entriesOf(env: Environment, counts: (name: string) => boolean): [string, string][] {
  return Object.entries(env)
    .filter((entry): entry is [string, string] => entry[1] !== undefined && counts(entry[0]))
    .sort(([one], [other]) => (one < other ? -1 : 1));
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Of anything that is JSON; undefined counts as null. */
function digest(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
