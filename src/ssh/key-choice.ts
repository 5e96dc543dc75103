/**
 * Which public key is pushed to a node: the one that ssh is going to use, as far as can be told. In this order: a file
 * that was named; the first IdentityFile of ssh's settings that has a public half; the agent's first key; the default
 * files. What was not named must be of a type that EC2 Instance Connect takes.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ProxyError } from '../errors.ts';
import { agentKeys } from './agent.ts';
import type { PublicKey } from './public-key.ts';
import { isPushable, parsePublicKey } from './public-key.ts';
import type { SshSettings } from './ssh-settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Those of ssh that Instance Connect takes, the better one first. */
const DEFAULT_FILES: readonly string[] = ['id_ed25519', 'id_rsa'];
/** What ssh -G shows where nobody has set IdentityFile. */
const DEFAULT_FILE = /^~\/\.ssh\/id_(rsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss|dsa)$/;

/** `settings`: of the ssh that is going to log in; undefined when they are not known. KEY_MISSING. */
export async function chooseKey(settings: SshSettings | undefined, env: Environment): Promise<PublicKey> {
  const home = env['HOME'] ?? homedir();
  const named = (settings?.identityFiles ?? []).filter((file) => !DEFAULT_FILE.test(file));
  for (const file of named) {
    const key = readPublicHalf(atHome(file, home));
    if (key !== undefined && isPushable(key)) return key;
  }
  const socket = settings?.identitiesOnly === true ? undefined : agentSocket(settings, env);
  if (socket !== undefined) {
    // One that does not answer is no reason to fail while there are files.
    const keys = await agentKeys(socket).catch((): readonly PublicKey[] => []);
    const key = keys.find(isPushable);
    if (key !== undefined) return key;
  }
  for (const name of named.length === 0 ? DEFAULT_FILES : []) {
    const key = readPublicHalf(join(home, '.ssh', name));
    if (key !== undefined && isPushable(key)) return key;
  }
  const places = named.length === 0 ? `${join(home, '.ssh')}` : named.join(', ');
  throw new ProxyError(
    'KEY_MISSING',
    `no public key to push: neither in the ssh-agent nor in ${places} is there one of type ed25519 or RSA`,
    { hint: 'name one with --push-key=FILE, or use --push-key=fresh with an ssh-agent' },
  );
}

/** A file that the user named: a public key, or a private one with the public one beside it. KEY_MISSING. */
export function readNamedKey(file: string, env: Environment): PublicKey {
  const path = atHome(file, env['HOME'] ?? homedir());
  const key = readPublicHalf(path);
  if (key !== undefined) return key;
  throw new ProxyError('KEY_MISSING', `there is no public key in ${path} or ${path}.pub`, {
    hint: `make it from the private key: ssh-keygen -y -f ${path} > ${path}.pub`,
  });
}

/** Socket of the agent that ssh would ask; undefined: none. */
export function agentSocket(settings: SshSettings | undefined, env: Environment): string | undefined {
  const named = settings?.identityAgent;
  if (named === 'none') return undefined;
  if (named !== undefined && named !== 'SSH_AUTH_SOCK') {
    if (named.startsWith('$')) return env[named.slice(1).replace(/^\{(.*)\}$/, '$1')] || undefined;
    return atHome(named, env['HOME'] ?? homedir());
  }
  return env['SSH_AUTH_SOCK'] || undefined;
}

function readPublicHalf(path: string): PublicKey | undefined {
  return parsePublicKey(readOr(`${path}.pub`)) ?? parsePublicKey(readOr(path));
}

function atHome(path: string, home: string): string {
  return path.startsWith('~/') ? join(home, path.slice(2)) : path;
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
