/**
 * KMS, as far as encrypted sessions need it: GenerateDataKey for the client, Decrypt for the agent. The ciphertext
 * is a random handle to the stored plaintext; what KMS checks (the key exists, the encryption context is the same)
 * is checked here too.
 */
import * as crypto from 'node:crypto';
import { asStringMap, isObject } from '../checked-json.ts';
import { ACCOUNT_ID } from '../identities.ts';
import { Refusal } from './refusal.ts';

interface DataKey {
  readonly plaintext: Buffer;
  readonly context: string;
}

const MAX_DATA_KEYS = 10_000;

export class DataKeys {
  readonly #keys = new Map<string, DataKey>();

  /** The GenerateDataKey action. `region` is the key's. */
  generate(input: Readonly<Record<string, unknown>>, region: string): Record<string, unknown> {
    const keyId = input['KeyId'];
    if (typeof keyId !== 'string' || keyId === '') {
      throw new Refusal(
        'ValidationException',
        "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
      );
    }
    const bytes = input['NumberOfBytes'] ?? (input['KeySpec'] === 'AES_128' ? 16 : 32);
    if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 1 || bytes > 1024) {
      throw new Refusal('ValidationException', 'NumberOfBytes must be from 1 to 1024.');
    }
    const plaintext = crypto.randomBytes(bytes);
    const ciphertext = crypto.randomBytes(120);
    if (this.#keys.size >= MAX_DATA_KEYS) this.#keys.clear();
    this.#keys.set(ciphertext.toString('base64'), {
      plaintext,
      context: contextText(input['EncryptionContext']),
    });
    return {
      CiphertextBlob: ciphertext.toString('base64'),
      Plaintext: plaintext.toString('base64'),
      KeyId: keyArn(keyId, region),
    };
  }

  /** What the agent's Decrypt call gives. Throws Refusal when the ciphertext or the context is not the one. */
  decrypt(ciphertext: Buffer, context: Readonly<Record<string, string>>): Buffer {
    const key = this.#keys.get(ciphertext.toString('base64'));
    if (key === undefined || key.context !== contextText(context)) {
      throw new Refusal(
        'InvalidCiphertextException',
        'The ciphertext or its encryption context is not valid.',
      );
    }
    return Buffer.from(key.plaintext);
  }
}

/** Every alias stands for one and the same key. */
function keyArn(keyId: string, region: string): string {
  if (/^arn:.*:key\//.test(keyId)) return keyId;
  const id = keyId.includes('alias/') ? '0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d' : keyId;
  return `arn:aws:kms:${region}:${ACCOUNT_ID}:key/${id}`;
}

/** Contexts are equal whatever the order of their keys. */
function contextText(context: unknown): string {
  const pairs = isObject(context) ? asStringMap(context, 'EncryptionContext') : {};
  return JSON.stringify(Object.entries(pairs).sort(([a], [b]) => (a < b ? -1 : 1)));
}
