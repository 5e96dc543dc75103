import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import {
  decodeMessage,
  encodeMessage,
  formatMessageId,
  isDigestValid,
  MESSAGE_TYPE,
} from '../../src/protocol/message.ts';
import { forSeeds, randomBuffer, randomInteger } from '../support/random.ts';
import { loadMessageVectors, vectorBytes } from '../support/vectors.ts';

const vectors = loadMessageVectors();

function uuidBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}

function isProtocolError(error: unknown): boolean {
  return error instanceof ProxyError && error.code === 'PROTOCOL_ERROR';
}

describe('message codec (protocol.md section 10, lines 1 to 7)', () => {
  for (const vector of vectors) {
    test(`decodes: ${vector.name}`, () => {
      const message = decodeMessage(vectorBytes(vector));
      const { expect } = vector;
      assert.equal(message.messageType, expect.messageType);
      assert.equal(message.createdDate, expect.createdDate);
      assert.equal(message.sequenceNumber, expect.sequenceNumber);
      assert.equal(message.flags, expect.flags);
      assert.equal(formatMessageId(message.messageId), expect.messageId);
      assert.equal(message.payloadType, expect.payloadType ?? undefined);
      assert.equal(message.payload.toString('latin1'), expect.payload);
      assert.equal(message.declaredPayloadLength, message.payload.length);
      assert.equal(message.schemaVersion, 1);
      assert.ok(isDigestValid(message));
    });

    if (vector.encodes) {
      test(`encodes byte for byte: ${vector.name}`, () => {
        const { expect } = vector;
        const encoded = encodeMessage({
          messageType: expect.messageType,
          createdDate: expect.createdDate,
          sequenceNumber: expect.sequenceNumber,
          flags: expect.flags,
          messageId: uuidBytes(expect.messageId),
          payloadType: expect.payloadType ?? 0,
          payload: Buffer.from(expect.payload, 'latin1'),
        });
        assert.equal(encoded.toString('hex'), vector.hex.join(''));
      });
    }

    test(`every truncation is an error of ours or a shorter payload: ${vector.name}`, () => {
      const whole = vectorBytes(vector);
      const headerEnd = whole.readUInt32BE(0) + 4;
      for (let length = 0; length < whole.length; length += 1) {
        const cut = whole.subarray(0, length);
        if (length < headerEnd) assert.throws(() => decodeMessage(cut), isProtocolError, `length ${length}`);
        else assert.equal(isDigestValid(decodeMessage(cut)), length === headerEnd, `length ${length}`);
      }
    });

    test(`no corrupted byte makes the decoder throw anything but its own error: ${vector.name}`, () => {
      const whole = vectorBytes(vector);
      for (let offset = 0; offset < whole.length; offset += 1) {
        for (const flip of [0x01, 0x80, 0xff]) {
          const bad = Buffer.from(whole);
          bad[offset] = (bad[offset] ?? 0) ^ flip;
          try {
            const message = decodeMessage(bad);
            const payloadStart = whole.length - message.payload.length;
            const touchesDigestOrPayload = (offset >= 80 && offset < 112) || offset >= payloadStart;
            if (touchesDigestOrPayload && payloadStart === whole.readUInt32BE(0) + 4)
              assert.ok(!isDigestValid(message));
          } catch (error) {
            assert.ok(isProtocolError(error), `offset ${offset}: ${String(error)}`);
          }
        }
      }
    });
  }

  const base = {
    messageType: MESSAGE_TYPE.OUTPUT_STREAM_DATA,
    messageId: uuidBytes('dd01e56b-ff48-483e-a508-b5f073f31b16'),
    payloadType: 1,
    payload: Buffer.from('x'),
  };

  const bigNumbers: [string, number, number][] = [
    ['sequence number above 2^32', 2 ** 32 + 5, 1_730_000_000_000],
    ['largest safe sequence number', Number.MAX_SAFE_INTEGER, 1],
    ['created date above 2^40', 0, 2 ** 41 + 3],
  ];
  for (const [name, sequenceNumber, createdDate] of bigNumbers) {
    test(`carries a ${name}`, () => {
      const message = decodeMessage(encodeMessage({ ...base, sequenceNumber, createdDate }));
      assert.equal(message.sequenceNumber, sequenceNumber);
      assert.equal(message.createdDate, createdDate);
    });
  }

  test('refuses 64-bit numbers that no number can hold', () => {
    const encoded = encodeMessage({ ...base, sequenceNumber: 1, createdDate: 1 });
    for (const offset of [40, 48]) {
      const bad = Buffer.from(encoded);
      bad[offset] = 0x7f;
      assert.throws(() => decodeMessage(bad), isProtocolError);
    }
  });

  test('reads a negative sequence number as negative', () => {
    const encoded = encodeMessage({ ...base, sequenceNumber: 0, createdDate: 1 });
    encoded.writeBigInt64BE(-1n, 48);
    assert.equal(decodeMessage(encoded).sequenceNumber, -1);
  });

  for (const [name, padding] of [
    ['spaces', ' '],
    ['NUL', '\0'],
    ['both', '\0 '],
  ] as const) {
    test(`trims a type padded with ${name}`, () => {
      const encoded = encodeMessage({ ...base, sequenceNumber: 0, createdDate: 1 });
      encoded.write('acknowledge'.padEnd(32, padding), 4, 'latin1');
      assert.equal(decodeMessage(encoded).messageType, 'acknowledge');
    });
  }

  test('refuses header lengths that do not fit', () => {
    for (const headerLength of [0, 1, 111, 118, 0xffffffff]) {
      const encoded = encodeMessage({ ...base, sequenceNumber: 0, createdDate: 1 });
      encoded.writeUInt32BE(headerLength, 0);
      assert.throws(() => decodeMessage(encoded), isProtocolError, String(headerLength));
    }
  });

  test('does not trust the payload length', () => {
    const encoded = encodeMessage({ ...base, sequenceNumber: 0, createdDate: 1 });
    encoded.writeUInt32BE(0xffffffff, 116);
    const message = decodeMessage(encoded);
    assert.equal(message.declaredPayloadLength, 0xffffffff);
    assert.equal(message.payload.toString(), 'x');
  });

  test('round trips random messages', () => {
    forSeeds(200, (random) => {
      const fields = {
        messageType: Object.values(MESSAGE_TYPE)[randomInteger(random, 0, 6)] ?? 'acknowledge',
        createdDate: randomInteger(random, 1, 2 ** 45),
        sequenceNumber: randomInteger(random, 0, 2 ** 50),
        flags: randomInteger(random, 0, 3),
        messageId: randomBuffer(random, 16),
        payloadType: randomInteger(random, 0, 2 ** 32 - 1),
        payload: randomBuffer(random, randomInteger(random, 0, 3000)),
      };
      const message = decodeMessage(encodeMessage(fields));
      assert.equal(message.messageType, fields.messageType);
      assert.equal(message.createdDate, fields.createdDate);
      assert.equal(message.sequenceNumber, fields.sequenceNumber);
      assert.equal(message.flags, fields.flags);
      assert.equal(formatMessageId(message.messageId).replaceAll('-', ''), fields.messageId.toString('hex'));
      assert.equal(message.payloadType, fields.payloadType);
      assert.ok(message.payload.equals(fields.payload));
      assert.ok(isDigestValid(message));
    });
  });

  test('survives random bytes', () => {
    forSeeds(2000, (random) => {
      const bytes = randomBuffer(random, randomInteger(random, 0, 300));
      if (bytes.length > 4 && random() < 0.7) bytes.writeUInt32BE(random() < 0.5 ? 116 : 112, 0);
      try {
        decodeMessage(bytes);
      } catch (error) {
        assert.ok(isProtocolError(error), String(error));
      }
    });
  });
});
