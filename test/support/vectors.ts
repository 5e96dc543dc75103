/** Vectors of test/vectors: bytes from outside this code base. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface MessageVector {
  readonly name: string;
  readonly source: string;
  readonly hex: readonly string[];
  /** False: only ever received. */
  readonly encodes: boolean;
  readonly expect: {
    readonly messageType: string;
    readonly createdDate: number;
    readonly sequenceNumber: number;
    readonly flags: number;
    readonly messageId: string;
    readonly payloadType: number | null;
    readonly payload: string;
  };
}

/** The repository: tests run from build/, where only compiled files are. */
export function repositoryRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    try {
      const { name } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { name?: string };
      if (name === 'ssm-proxy') return directory;
    } catch {
      // Not here: further up.
    }
    const parent = dirname(directory);
    // Compiled outside the checkout: the working directory is the repository.
    if (parent === directory) return process.cwd();
    directory = parent;
  }
}

export function loadMessageVectors(): readonly MessageVector[] {
  return JSON.parse(
    readFileSync(join(repositoryRoot(), 'test/vectors/messages.json'), 'utf8'),
  ) as MessageVector[];
}

/** A payload of an encrypted session. */
export interface CipherVector {
  readonly name: string;
  readonly source: string;
  readonly sealedBy: 'client' | 'agent';
  /** Of 64 bytes, in hex. */
  readonly dataKey: string;
  /** As it travels. */
  readonly hex: readonly string[];
  readonly expect: { readonly nonce: string; readonly plaintext: readonly string[] };
}

export function loadCipherVectors(): readonly CipherVector[] {
  return JSON.parse(
    readFileSync(join(repositoryRoot(), 'test/vectors/cipher.json'), 'utf8'),
  ) as CipherVector[];
}

export function vectorBytes(vector: Pick<MessageVector, 'hex'>): Buffer {
  return Buffer.from(vector.hex.join(''), 'hex');
}
