/** The payloads of encrypted sessions against bytes from outside (test/vectors/cipher.json). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DATA_KEY_BYTES, PayloadCipher } from '../../src/protocol/cipher.ts';
import type { CipherVector } from '../support/vectors.ts';
import { loadCipherVectors, vectorBytes } from '../support/vectors.ts';

const vectors = loadCipherVectors();
const dataKeyOf = ({ dataKey }: CipherVector): Buffer => Buffer.from(dataKey, 'hex');
const noNonce = (): never => assert.fail('no nonce is needed to open');

/** The end that gets what the vector holds. */
function receiverOf(vector: CipherVector): PayloadCipher {
  return new PayloadCipher(vector.sealedBy === 'client' ? 'agent' : 'client', dataKeyOf(vector), noNonce);
}

describe('vectors', () => {
  for (const vector of vectors) {
    const sealed = vectorBytes(vector);
    const plaintext = vectorBytes({ hex: vector.expect.plaintext });

    test(`${vector.name}: sealed and opened`, () => {
      const nonce = Buffer.from(vector.expect.nonce, 'hex');
      const sender = new PayloadCipher(vector.sealedBy, dataKeyOf(vector), () => nonce);
      assert.equal(sender.seal(plaintext).toString('hex'), sealed.toString('hex'));
      assert.equal(receiverOf(vector).open(sealed).toString('hex'), plaintext.toString('hex'));
    });

    test(`${vector.name}: whatever is changed or missing is refused`, () => {
      const receiver = receiverOf(vector);
      const step = Math.max(1, Math.floor(sealed.length / 40));
      for (let at = 0; at < sealed.length; at += step) {
        const changed = Buffer.from(sealed);
        changed[at] = (changed[at] ?? 0) ^ 0x10;
        assert.throws(() => receiver.open(changed), { code: 'PROTOCOL_ERROR' }, `byte ${at}`);
        assert.throws(
          () => receiver.open(sealed.subarray(0, at)),
          { code: 'PROTOCOL_ERROR' },
          `cut at ${at}`,
        );
      }
    });

    test(`${vector.name}: the other half of the key does not open it`, () => {
      const sender = new PayloadCipher(vector.sealedBy, dataKeyOf(vector), noNonce);
      assert.throws(() => sender.open(sealed), { code: 'PROTOCOL_ERROR' });
    });
  }
});

test('the answer to a challenge is what was in it, sealed with the other half', () => {
  const [challenge, answer] = ['challenge of the agent: 64 bytes', 'the answer to it'].map((name) => {
    const found = vectors.find((vector) => vector.name.startsWith(name));
    assert.ok(found !== undefined, name);
    return found;
  });
  assert.ok(challenge !== undefined && answer !== undefined);
  const client = new PayloadCipher('client', dataKeyOf(challenge), () =>
    Buffer.from(answer.expect.nonce, 'hex'),
  );
  const secret = client.open(vectorBytes(challenge));
  assert.equal(client.seal(secret).toString('hex'), vectorBytes(answer).toString('hex'));
});

test('a data key of another length is refused', () => {
  for (const length of [0, 32, DATA_KEY_BYTES - 1, DATA_KEY_BYTES + 1]) {
    assert.throws(() => new PayloadCipher('client', Buffer.alloc(length), noNonce), {
      code: 'HANDSHAKE_FAILED',
    });
  }
});
