/** The emulated KMS: data keys open only with their own encryption context. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DataKeys } from '../../src/emulator/api/kms.ts';
import { Refusal } from '../../src/emulator/api/refusal.ts';

const CONTEXT = { 'aws:ssm:SessionId': 'demo-0', 'aws:ssm:TargetId': 'i-0' };

function generate(
  keys: DataKeys,
  input: object = {},
): { plaintext: Buffer; ciphertext: Buffer; keyId: string } {
  const answer = keys.generate(
    { KeyId: 'alias/sessions', NumberOfBytes: 64, EncryptionContext: CONTEXT, ...input },
    'us-east-1',
  );
  return {
    plaintext: Buffer.from(String(answer['Plaintext']), 'base64'),
    ciphertext: Buffer.from(String(answer['CiphertextBlob']), 'base64'),
    keyId: String(answer['KeyId']),
  };
}

test('a data key has the asked length and is decrypted with the same context in any order', () => {
  const keys = new DataKeys();
  const { plaintext, ciphertext, keyId } = generate(keys);
  assert.equal(plaintext.length, 64);
  assert.match(keyId, /^arn:aws:kms:us-east-1:\d{12}:key\/[0-9a-f-]{36}$/);
  const reversed = Object.fromEntries(Object.entries(CONTEXT).reverse());
  assert.deepEqual(keys.decrypt(ciphertext, reversed), plaintext);
});

test('another context, another ciphertext or another key store does not decrypt', () => {
  const keys = new DataKeys();
  const { ciphertext } = generate(keys);
  const isInvalid = (error: unknown): boolean =>
    error instanceof Refusal && error.code === 'InvalidCiphertextException';
  assert.throws(() => keys.decrypt(ciphertext, { ...CONTEXT, 'aws:ssm:TargetId': 'i-1' }), isInvalid);
  assert.throws(() => keys.decrypt(ciphertext, { ...CONTEXT, extra: 'x' }), isInvalid);
  assert.throws(() => keys.decrypt(Buffer.from('made up'), CONTEXT), isInvalid);
  assert.throws(() => new DataKeys().decrypt(ciphertext, CONTEXT), isInvalid);
});

test('a key without ID or with a silly length is refused', () => {
  const isValidation = (error: unknown): boolean =>
    error instanceof Refusal && error.code === 'ValidationException';
  assert.throws(() => generate(new DataKeys(), { KeyId: undefined }), isValidation);
  assert.throws(() => generate(new DataKeys(), { NumberOfBytes: 0 }), isValidation);
  assert.throws(() => generate(new DataKeys(), { NumberOfBytes: 5000 }), isValidation);
});
