/** Public keys as files and agents have them: one line, type and base64. Pure. */

export interface PublicKey {
  /** `ssh-ed25519`. */
  readonly type: string;
  /** Type and base64, without comment or options: what is sent anywhere must not say more than it has to. */
  readonly line: string;
}

/** What EC2 Instance Connect takes, as far as its documentation says. */
const PUSHABLE: ReadonlySet<string> = new Set(['ssh-ed25519', 'ssh-rsa']);

/** The first key of a text such as `id_ed25519.pub`; undefined when there is none. */
export function parsePublicKey(text: string): PublicKey | undefined {
  for (const line of text.split(/\r?\n/)) {
    const [, type, base64] = /^\s*([a-z0-9@.-]+)\s+([A-Za-z0-9+/]+={0,2})(?:\s|$)/.exec(line) ?? [];
    if (type === undefined || base64 === undefined) continue;
    const blob = Buffer.from(base64, 'base64');
    if (blobType(blob) === type) return { type, line: `${type} ${base64}` };
  }
  return undefined;
}

/** From the wire form; undefined for what is none. */
export function publicKeyOf(blob: Buffer): PublicKey | undefined {
  const type = blobType(blob);
  return type === undefined ? undefined : { type, line: `${type} ${blob.toString('base64')}` };
}

export function isPushable({ type }: PublicKey): boolean {
  return PUSHABLE.has(type);
}

/** The wire form begins with its type, as a string with its length before it. */
function blobType(blob: Buffer): string | undefined {
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  if (length === 0 || length > 64 || blob.length <= 4 + length) return undefined;
  return blob.toString('latin1', 4, 4 + length);
}
