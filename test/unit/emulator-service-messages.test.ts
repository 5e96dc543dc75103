/** The service's own messages, byte for byte where the protocol reference gives an example. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatChannelClosed, formatPublication } from '../../src/emulator/service-messages.ts';
import { decodeMessage, isDigestValid, MESSAGE_TYPE } from '../../src/protocol/message.ts';
import { parseChannelClosed } from '../../src/protocol/payloads.ts';

const SERVICE_FORM = { shortHeader: true, nulPadding: true };
const FIELDS = {
  sessionId: 'user-0123456789abcdef0',
  destinationId: 'i-0123456789abcdef0',
  output: 'bye',
  createdDate: 1730000000003,
};

test('channel_closed has the service’s layout: short header, NUL padding, no payload type', () => {
  const data = formatChannelClosed(FIELDS, SERVICE_FORM);
  // The fixed parts of the reference's worked example: header length, type, schema version, date, sequence, flags.
  assert.equal(
    data.subarray(0, 64).toString('hex'),
    '00000070' +
      '6368616e6e656c5f636c6f736564000000000000000000000000000000000000' +
      '00000001' +
      '00000192cc091403' +
      '0000000000000000' +
      '0000000000000000',
  );
  // Same length of payload as in the example, and it starts right after its own length.
  assert.equal(data.length, 337);
  assert.equal(data.readUInt32BE(112), 221);
  assert.equal(data.subarray(116, 118).toString(), '{"');
  const keys = Object.keys(JSON.parse(data.subarray(116).toString()) as object);
  assert.deepEqual(keys, [
    'MessageType',
    'MessageId',
    'DestinationId',
    'SessionId',
    'SchemaVersion',
    'CreatedDate',
    'Output',
  ]);
});

test('channel_closed decodes to its output, with a valid digest and its message ID', () => {
  const data = formatChannelClosed(FIELDS, SERVICE_FORM);
  const message = decodeMessage(data);
  assert.equal(message.messageType, MESSAGE_TYPE.CHANNEL_CLOSED);
  assert.equal(message.payloadType, undefined);
  assert.equal(isDigestValid(message), true);
  assert.deepEqual(parseChannelClosed(message.payload), { sessionId: FIELDS.sessionId, output: 'bye' });
  const content = JSON.parse(message.payload.toString()) as { MessageId: string };
  const halves = content.MessageId.replaceAll('-', '');
  assert.equal(message.messageId.toString('hex'), halves.slice(16) + halves.slice(0, 16));
});

test('the other form has the long header and spaces', () => {
  const data = formatChannelClosed(FIELDS, { shortHeader: false, nulPadding: false });
  assert.equal(data.readUInt32BE(0), 116);
  assert.equal(data.subarray(4, 36).toString('latin1'), 'channel_closed'.padEnd(32));
  assert.equal(decodeMessage(data).payloadType, 0);
});

for (const type of [MESSAGE_TYPE.START_PUBLICATION, MESSAGE_TYPE.PAUSE_PUBLICATION] as const) {
  test(`${type} has an empty payload, a digest of zeros and a creation date`, () => {
    const data = formatPublication(type, 1730000000003, SERVICE_FORM);
    assert.equal(data.length, 116);
    const message = decodeMessage(data);
    assert.equal(message.messageType, type);
    assert.equal(message.payload.length, 0);
    assert.equal(message.digest.toString('hex'), '00'.repeat(32));
    assert.equal(message.createdDate, 1730000000003);
  });
}
