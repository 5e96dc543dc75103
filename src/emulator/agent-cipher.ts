/**
 * Encryption of the emulated agent's stream payloads (protocol.md 5.5): AES-256-GCM, payload = 12-byte nonce,
 * ciphertext, 16-byte tag. Written apart from the client's cipher, so that the two can disagree.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Length of a session's data key: one half per direction. */
export const DATA_KEY_BYTES = 2 * KEY_BYTES;

export class AgentCipher {
  readonly #encryptionKey: Buffer;
  readonly #decryptionKey: Buffer;
  readonly #nonce = randomBytes(NONCE_BYTES);

  /** `dataKey` has 64 bytes: the agent encrypts with the first half, the client with the second. */
  constructor(dataKey: Buffer) {
    this.#encryptionKey = Buffer.from(dataKey.subarray(0, KEY_BYTES));
    this.#decryptionKey = Buffer.from(dataKey.subarray(KEY_BYTES, DATA_KEY_BYTES));
  }

  encrypt(plaintext: Uint8Array): Buffer {
    this.#incrementNonce();
    const cipher = createCipheriv(ALGORITHM, this.#encryptionKey, this.#nonce);
    return Buffer.concat([this.#nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  }

  /** Undefined when the payload is too short or was not sealed with the client's key. */
  decrypt(payload: Buffer): Buffer | undefined {
    if (payload.length < NONCE_BYTES + TAG_BYTES) return undefined;
    const tagAt = payload.length - TAG_BYTES;
    const decipher = createDecipheriv(ALGORITHM, this.#decryptionKey, payload.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(payload.subarray(tagAt));
    try {
      return Buffer.concat([decipher.update(payload.subarray(NONCE_BYTES, tagAt)), decipher.final()]);
    } catch {
      return undefined;
    }
  }

  /** The agent counts from a random start; the receiver only reads the nonce. */
  #incrementNonce(): void {
    for (let i = NONCE_BYTES - 1; i >= 0; i -= 1) {
      const byte = ((this.#nonce[i] ?? 0) + 1) & 0xff;
      this.#nonce[i] = byte;
      if (byte !== 0) return;
    }
  }
}
