/**
 * Ed25519 keys of the emulated nodes, in OpenSSH's file format, made once and kept in a directory.
 *
 * The format is written here because ssh2's own generator drops leading zero bytes of the public key, and so makes
 * an unusable key one time in 256 (seen with ssh2 1.17). Layout: PROTOCOL.key of OpenSSH.
 */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

const KEY_TYPE = 'ssh-ed25519';
const BLOCK_BYTES = 8;
const LINE_CHARACTERS = 70;

export interface SshKeyPair {
  /** OpenSSH private key file, PEM. */
  readonly privateKey: string;
  /** One line: type, base64, comment. */
  readonly publicKey: string;
}

/** A new key pair; `comment` must not have a line break. */
export function generateSshKeyPair(comment: string): SshKeyPair {
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const publicBytes = Buffer.from(jwk.x ?? '', 'base64url');
  const seed = Buffer.from(jwk.d ?? '', 'base64url');
  const publicBlob = Buffer.concat([lengthPrefixed(KEY_TYPE), lengthPrefixed(publicBytes)]);
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    publicBlob,
    lengthPrefixed(Buffer.concat([seed, publicBytes])),
    lengthPrefixed(comment),
  ]);
  const padding = Buffer.from(
    Array.from({ length: (BLOCK_BYTES - (secret.length % BLOCK_BYTES)) % BLOCK_BYTES }, (_, i) => i + 1),
  );
  const one = Buffer.from([0, 0, 0, 1]);
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0', 'latin1'),
    lengthPrefixed('none'),
    lengthPrefixed('none'),
    lengthPrefixed(''),
    one,
    lengthPrefixed(publicBlob),
    lengthPrefixed(Buffer.concat([secret, padding])),
  ]).toString('base64');
  const lines = file.match(new RegExp(`.{1,${LINE_CHARACTERS}}`, 'g')) ?? [];
  return {
    privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicKey: `${KEY_TYPE} ${publicBlob.toString('base64')} ${comment}`,
  };
}

/**
 * The key kept at `path`, made first where there is none. The file is private (0600); two who start at the same
 * time end up with the same key. The public key is written beside it, as `<path>.pub`.
 */
export async function loadOrCreateKey(path: string, comment: string): Promise<string> {
  const existing = await readKey(path);
  if (existing !== undefined) return existing;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const pair = generateSshKeyPair(comment);
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, pair.privateKey, { mode: 0o600, flag: 'wx' });
  try {
    // link(2) refuses to replace, and the name never shows half a file.
    await link(draft, path);
    await writeFile(`${path}.pub`, `${pair.publicKey}\n`, { mode: 0o644 });
    return pair.privateKey;
  } catch (error) {
    const other = await readKey(path);
    if (other === undefined) throw error;
    return other;
  } finally {
    await rm(draft, { force: true });
  }
}

/** OpenSSH's fingerprint of a public key blob: `SHA256:` and base64 without padding. */
export function fingerprint(publicBlob: Buffer): string {
  return `SHA256:${createHash('sha256').update(publicBlob).digest('base64').replace(/=+$/, '')}`;
}

async function readKey(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function lengthPrefixed(data: string | Buffer): Buffer {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
