import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import * as payloads from '../../src/protocol/payloads.ts';
import { loadMessageVectors } from '../support/vectors.ts';

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe('payloads', () => {
  test('an acknowledge payload is the text that the official ends write', () => {
    const vector = loadMessageVectors().find(({ expect }) => expect.messageType === 'acknowledge');
    assert.ok(vector);
    const text = payloads.formatAcknowledge('output_stream_data', vector.expect.messageId, 42);
    assert.equal(text, vector.expect.payload);
    assert.equal(payloads.parseAcknowledge(Buffer.from(text)), 42);
  });

  test('channel_closed gives its output, also when it is missing', () => {
    const vector = loadMessageVectors().find(({ expect }) => expect.messageType === 'channel_closed');
    assert.ok(vector);
    assert.equal(payloads.parseChannelClosed(Buffer.from(vector.expect.payload)).output, 'bye');
    assert.equal(payloads.parseChannelClosed(json({ SessionId: 's' })).output, '');
  });

  test('a flag is four big-endian bytes', () => {
    assert.equal(payloads.formatFlag(payloads.FLAG.TERMINATE_SESSION).toString('hex'), '00000002');
    assert.equal(payloads.parseFlag(Buffer.from('00000003', 'hex')), 3);
  });

  test('an exit code is read from its text', () => {
    assert.equal(payloads.parseExitCode(Buffer.from('EXIT_CODE: 7')), 7);
    assert.equal(payloads.parseExitCode(Buffer.from('EXIT_CODE: -1\n')), -1);
  });

  test('properties of a port session are read as strings; none for shells', () => {
    const port = payloads.parseSessionTypeParameters({
      SessionType: 'Port',
      Properties: { portNumber: 22, host: 'h' },
    });
    assert.deepEqual(port, { sessionType: 'Port', properties: { portNumber: '22', host: 'h' } });
    const shell = payloads.parseSessionTypeParameters({ SessionType: 'Standard_Stream', Properties: null });
    assert.deepEqual(shell, { sessionType: 'Standard_Stream', properties: {} });
  });

  const parsers: [string, (payload: Buffer) => unknown][] = [
    ['parseAcknowledge', payloads.parseAcknowledge],
    ['parseHandshakeRequest', payloads.parseHandshakeRequest],
    ['parseHandshakeResponse', payloads.parseHandshakeResponse],
    ['parseHandshakeComplete', payloads.parseHandshakeComplete],
    ['parseChannelClosed', payloads.parseChannelClosed],
    ['parseFlag', payloads.parseFlag],
    ['parseSize', payloads.parseSize],
    ['parseExitCode', payloads.parseExitCode],
    ['parseChallenge', payloads.parseChallenge],
  ];
  const bad = [
    '',
    '{',
    '[]',
    'null',
    '1',
    '"x"',
    '{"RequestedClientActions":[1]}',
    '{"ProcessedClientActions":[null]}',
    '\xff\xfe',
  ];
  for (const [name, parse] of parsers) {
    test(`${name} throws its own error, never another, and never quotes what it got`, () => {
      for (const text of bad) {
        try {
          parse(Buffer.from(text, 'latin1'));
        } catch (error) {
          assert.ok(
            error instanceof ProxyError && error.code === 'PROTOCOL_ERROR',
            `${text}: ${String(error)}`,
          );
          assert.doesNotMatch(error.message, /RequestedClientActions|ProcessedClientActions/);
        }
      }
    });
  }
});
