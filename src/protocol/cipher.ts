/**
 * Sealing of payloads in KMS-encrypted sessions: AES-256-GCM without additional data; a sealed payload is a 12-byte
 * nonce, the ciphertext and a 16-byte tag. Of the 64-byte data key the agent encrypts with the first half and the
 * client with the second (source: the official encrypters of both ends).
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { ProxyError } from '../errors.ts';

export const DATA_KEY_BYTES = 64;
export const NONCE_BYTES = 12;
const HALF_BYTES = 32;
const TAG_BYTES = 16;
const ALGORITHM = 'aes-256-gcm';

export type CipherSide = 'client' | 'agent';

export class PayloadCipher {
  readonly #sealKey: Buffer;
  readonly #openKey: Buffer;
  readonly #nonce: () => Uint8Array;

  /** `nonce` gives 12 bytes that never repeat under one key. Throws HANDSHAKE_FAILED for a key of the wrong length. */
  constructor(side: CipherSide, dataKey: Buffer, nonce: () => Uint8Array) {
    if (dataKey.length !== DATA_KEY_BYTES) {
      throw new ProxyError(
        'HANDSHAKE_FAILED',
        `the KMS data key has ${dataKey.length} bytes instead of ${DATA_KEY_BYTES}`,
      );
    }
    const agentKey = Buffer.from(dataKey.subarray(0, HALF_BYTES));
    const clientKey = Buffer.from(dataKey.subarray(HALF_BYTES));
    this.#sealKey = side === 'client' ? clientKey : agentKey;
    this.#openKey = side === 'client' ? agentKey : clientKey;
    this.#nonce = nonce;
  }

  seal(plaintext: Uint8Array): Buffer {
    const nonce = this.#nonce();
    const cipher = createCipheriv(ALGORITHM, this.#sealKey, nonce);
    return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  }

  /** Throws PROTOCOL_ERROR when the payload was not sealed with the peer's key. */
  open(sealed: Buffer): Buffer {
    if (sealed.length < NONCE_BYTES + TAG_BYTES) {
      throw new ProxyError('PROTOCOL_ERROR', `encrypted payload of ${sealed.length} bytes is too short`);
    }
    const decipher = createDecipheriv(ALGORITHM, this.#openKey, sealed.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    try {
      return Buffer.concat([
        decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES)),
        decipher.final(),
      ]);
    } catch (cause) {
      throw new ProxyError(
        'PROTOCOL_ERROR',
        'an encrypted payload cannot be decrypted with the session key',
        { cause },
      );
    }
  }
}
