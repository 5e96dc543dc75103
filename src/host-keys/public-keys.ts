/**
 * Public host keys as text. Pure.
 *
 * What a node or its console says is not trusted to be anything: only whole keys of a known type are taken, whose
 * bytes say the same type as the line does, and nothing else of a line. So nothing of it can be more than a key to ssh.
 */
import { createHash } from 'node:crypto';

export interface HostKey {
  /** `ssh-ed25519`. */
  readonly type: string;
  /** The key itself, as in known_hosts. */
  readonly base64: string;
}

/** Types that sshd may have as host keys, and the numbers and strings in each after its name. */
const PARTS: Readonly<Record<string, number>> = {
  'ssh-ed25519': 1,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'ssh-rsa': 2,
};
const KEY = /(?:^|\s)((?:ssh|ecdsa)-[a-z0-9-]+) +(AAAA[A-Za-z0-9+/]+={0,2})(?=\s|$)/;
/** A node has three or four. */
const MAX_KEYS = 20;
/** A host as ssh names it in known_hosts: no pattern, no list, no hash, no marker. */
const HOST = /^(?:[\w.:%-]+|\[[\w.:%-]+\]:\d{1,5})$/;
const BLOCK_BEGIN = '-----BEGIN SSH HOST KEY KEYS-----';
const BLOCK_END = '-----END SSH HOST KEY KEYS-----';

/** The keys in a text, one a line, each once; a line may have other words before and behind. */
export function parseHostKeys(text: string): readonly HostKey[] {
  const keys = new Map<string, HostKey>();
  for (const line of text.split(/\r?\n|\r/)) {
    const [, type = '', base64 = ''] = KEY.exec(line) ?? [];
    if (isKey(type, base64)) keys.set(base64, { type, base64 });
    if (keys.size === MAX_KEYS) break;
  }
  return [...keys.values()];
}

/** The keys that cloud-init has written to the console, the last time that it did. */
export function parseConsole(text: string): readonly HostKey[] {
  const end = text.lastIndexOf(BLOCK_END);
  const begin = end < 0 ? -1 : text.lastIndexOf(BLOCK_BEGIN, end);
  return begin < 0 ? [] : parseHostKeys(text.slice(begin + BLOCK_BEGIN.length, end));
}

/** True for a text that can stand as the host in a line of known_hosts, and means itself there. */
export function isHostName(text: string): boolean {
  return HOST.test(text);
}

/** Lines of known_hosts. `host`: as `isHostName` wants it. */
export function knownHostsLines(host: string, keys: readonly HostKey[]): string {
  return keys.map(({ type, base64 }) => `${host} ${type} ${base64}\n`).join('');
}

/** As ssh shows it: `SHA256:` and base64 without padding. */
export function fingerprintOf({ base64 }: HostKey): string {
  const digest = createHash('sha256').update(Buffer.from(base64, 'base64')).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}

/** The type of a key given by its base64 alone; undefined for anything else than a host key. */
export function typeOfKey(base64: string): string | undefined {
  return Object.keys(PARTS).find((type) => isKey(type, base64));
}

/** RFC 4253, 6.6: the name of the type, then its parts, each with its length before it; and nothing more. */
function isKey(type: string, base64: string): boolean {
  const parts = Object.hasOwn(PARTS, type) ? PARTS[type] : undefined;
  if (parts === undefined) return false;
  const blob = Buffer.from(base64, 'base64');
  if (blob.toString('base64') !== base64) return false;
  let at = 0;
  for (let part = 0; part <= parts; part += 1) {
    if (at + 4 > blob.length) return false;
    const end = at + 4 + blob.readUInt32BE(at);
    if (end > blob.length || end === at + 4) return false;
    if (part === 0 && blob.toString('latin1', at + 4, end) !== type) return false;
    at = end;
  }
  return at === blob.length;
}
