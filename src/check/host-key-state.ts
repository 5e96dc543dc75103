/**
 * The node's host keys, read from the node, beside those that this machine's known_hosts has for it. A session of its
 * own, as `host-keys` opens one.
 */
import { existsSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { hostname, homedir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../clock.ts';
import { asProxyError } from '../errors.ts';
import type { HostKey } from '../host-keys/public-keys.ts';
import { fingerprintOf, parseHostKeys } from '../host-keys/public-keys.ts';
import type { ReadKeys } from '../host-keys/read-keys.ts';
import { readHostKeys } from '../host-keys/read-keys.ts';
import type { Log } from '../log.ts';
import { VERSION } from '../version.ts';
import type { Finding } from './finding.ts';
import { failed, ok, skipped, warning } from './finding.ts';
import type { FoundNode } from './target-state.ts';

const READ_LIMIT_MS = 12_000;
const RUN_LIMIT_MS = 3_000;
const ID = 'session.host-keys';
const KNOWN_ID = 'session.known-hosts';

export interface HostKeyParts {
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly endpointUrl: string | undefined;
  readonly startsPerSecond: number;
}

/** `target`: as ssh is given it. Never rejects. */
export async function checkHostKeys(
  target: string,
  { context, instance }: FoundNode,
  { env, log, endpointUrl, startsPerSecond }: HostKeyParts,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const sharing = { startsPerSecond, queueTimeoutMs: READ_LIMIT_MS, sharesLookups: false };
  const request = {
    ...{ context, instanceId: instance.instanceId, endpointUrl, ssmmessagesEndpoint: undefined, sharing },
    reason: `ssm-proxy/${VERSION} ${hostname()} check ${target} host keys`,
    timeLimitMs: READ_LIMIT_MS,
  };
  const reading = readHostKeys(request, { env, clock: systemClock, log }, signal);
  const [read, known] = await Promise.all([reading.catch(asProxyError), knownKeys(target, env)]);
  if (read instanceof Error) {
    const seen = `${read.message} [${read.code}]`;
    const finding =
      read.code === 'ACCESS_DENIED'
        ? skipped(ID, 'Host keys', seen)
        : warning(ID, 'Host keys', seen, read.hint);
    return [finding];
  }
  return [readFinding(read), knownFinding(target, read.keys, known)];
}

function readFinding({ keys, source }: ReadKeys): Finding {
  const list = keys.map((key) => `${fingerprintOf(key)} (${key.type})`).join(', ');
  const where = source === 'session' ? 'read over a session' : 'from the console output';
  return ok(ID, 'Host keys', `${list}, ${where}`);
}

/** ssh refuses a host when all that it knows of a type are others. */
export function knownFinding(target: string, keys: readonly HostKey[], known: readonly HostKey[]): Finding {
  const what = 'known_hosts';
  if (known.length === 0) return ok(KNOWN_ID, what, `has nothing about ${target}`);
  const stale = known.filter((each) => !keys.some(({ base64 }) => base64 === each.base64));
  if (stale.length === 0) return ok(KNOWN_ID, what, 'has these keys');
  const seen = `has for ${target} a key that is not the node's: ${stale.map(fingerprintOf).join(', ')}`;
  const fix = `it is of an earlier node with this address, or of somebody in between: ssh-keygen -R ${target}`;
  const isKnown = known.length > stale.length;
  return isKnown ? warning(KNOWN_ID, what, seen, fix) : failed(KNOWN_ID, what, seen, fix);
}

/** As ssh-keygen finds them, which also knows hashed names. */
async function knownKeys(target: string, env: NodeJS.ProcessEnv): Promise<readonly HostKey[]> {
  const file = join(env['HOME'] ?? homedir(), '.ssh', 'known_hosts');
  if (!existsSync(file)) return [];
  const text = await new Promise<string>((resolve) => {
    const options = { env, timeout: RUN_LIMIT_MS, killSignal: 'SIGKILL', encoding: 'utf8' } as const;
    const child = execFile('ssh-keygen', ['-F', target, '-f', file], options, (_error, stdout) =>
      resolve(stdout),
    );
    child.stdin?.end();
  });
  // Keys of authorities, and revoked ones, are marked so.
  return parseHostKeys(text.replace(/^[@#].*$/gm, ''));
}
