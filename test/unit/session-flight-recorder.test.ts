/** What the flight recorder keeps of messages and events, and that it can be given anything. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MESSAGE_TYPE, PAYLOAD_TYPE, encodeMessage } from '../../src/protocol/message.ts';
import { FlightRecorder } from '../../src/session/flight-recorder.ts';
import {
  acknowledgeMessage,
  channelClosedMessage,
  outputMessage,
  serviceMessage,
} from '../support/fake-agent.ts';
import { randomBuffer, randomInteger, seededRandom } from '../support/random.ts';

function inputMessage(sequenceNumber: number, payload: string): Buffer {
  return encodeMessage({
    messageType: MESSAGE_TYPE.INPUT_STREAM_DATA,
    createdDate: 1_730_000_000_000,
    sequenceNumber,
    messageId: Buffer.alloc(16),
    payloadType: PAYLOAD_TYPE.OUTPUT,
    payload: Buffer.from(payload),
  });
}

/** The records without header lines and times. */
function records(recorder: FlightRecorder): string[] {
  return recorder
    .lines()
    .slice(2)
    .map((line) => line.slice(12));
}

test('messages are kept by direction, type, sequence number and length', () => {
  const recorder = new FlightRecorder({});
  recorder.received(0, serviceMessage('start_publication'));
  recorder.received(1, outputMessage(0, '{}', PAYLOAD_TYPE.HANDSHAKE_REQUEST));
  recorder.sent(2, acknowledgeMessage(0));
  recorder.sent(3, inputMessage(7, 'twelve bytes'));
  recorder.received(4, acknowledgeMessage(4_294_967_290));
  recorder.received(5, channelClosedMessage('bye'));
  recorder.received(6, serviceMessage('pause_publication'));
  assert.deepEqual(records(recorder), [
    '< start_publication seq=0 bytes=0',
    '< output_stream_data seq=0 payload=handshake_request bytes=2',
    '> acknowledge of=0',
    '> input_stream_data seq=7 payload=output bytes=12',
    '< acknowledge of=4294967290',
    `< channel_closed seq=0 bytes=${channelClosedMessage('bye').length - 116}`,
    '< pause_publication seq=0 bytes=0',
  ]);
});

test('the first lines say of what and when, and times are relative', () => {
  const recorder = new FlightRecorder({ version: '1.2.3', node: '20.0.0' });
  recorder.event(5_000.25, 'link_up');
  recorder.describe({ sessionId: 'demo-1' });
  recorder.sent(5_012.5, inputMessage(0, 'x'));
  const [facts, legend, ...rest] = recorder.lines();
  assert.equal(facts, 'ssm-proxy flight recorder version=1.2.3 node=20.0.0 sessionId=demo-1');
  assert.match(legend ?? '', /earlier records dropped: 0$/);
  assert.deepEqual(rest, [
    '        0.0 * link_up',
    '       12.3 > input_stream_data seq=0 payload=output bytes=1',
  ]);
});

test('a full ring drops the oldest messages, and says how many', () => {
  const recorder = new FlightRecorder({}, 4);
  for (let sequence = 0; sequence < 11; sequence += 1) recorder.sent(sequence, inputMessage(sequence, 'x'));
  assert.deepEqual(
    records(recorder),
    [7, 8, 9, 10].map((sequence) => `> input_stream_data seq=${sequence} payload=output bytes=1`),
  );
  assert.match(recorder.lines()[1] ?? '', /dropped: 7$/);
});

test('what an overwritten record had does not show in the one that took its place', () => {
  const recorder = new FlightRecorder({}, 1);
  recorder.sent(0, acknowledgeMessage(5));
  recorder.sent(1, serviceMessage('pause_publication'));
  assert.deepEqual(records(recorder), ['> pause_publication seq=0 bytes=0']);
  recorder.sent(2, inputMessage(3, 'x'));
  recorder.sent(3, Buffer.alloc(3));
  assert.deepEqual(records(recorder), ['> malformed bytes=3']);
});

test('events outlive the messages around them, and stay in order with them', () => {
  const recorder = new FlightRecorder({}, 2, 3);
  recorder.event(0, 'link_up');
  for (let sequence = 0; sequence < 100; sequence += 1) recorder.sent(1, inputMessage(sequence, 'x'));
  recorder.event(1, 'link_lost', { closeCode: 1006, reason: undefined });
  recorder.sent(1, inputMessage(100, 'x'));
  assert.deepEqual(records(recorder), [
    '* link_up',
    '> input_stream_data seq=99 payload=output bytes=1',
    '* link_lost closeCode=1006',
    '> input_stream_data seq=100 payload=output bytes=1',
  ]);
  for (let count = 0; count < 5; count += 1) recorder.event(2, 'ping', { count });
  assert.deepEqual(
    records(recorder).filter((line) => line.startsWith('*')),
    ['* ping count=2', '* ping count=3', '* ping count=4'],
  );
});

test('an event stays one line of bounded length, whatever words a peer puts into it', () => {
  const recorder = new FlightRecorder({});
  recorder.event(0, 'link_lost', { reason: `\u001b[31m\n${'x'.repeat(10_000)}` });
  const [line = ''] = records(recorder);
  assert.ok(line.length < 320, `${line.length} characters`);
  assert.doesNotMatch(line, /\p{Cc}/u);
});

test('a payload leaves no trace', () => {
  const recorder = new FlightRecorder({});
  recorder.sent(0, inputMessage(0, 'the secret of the stream'));
  recorder.received(0, outputMessage(0, 'the secret of the stream'));
  recorder.received(0, channelClosedMessage('the secret of the stream'));
  assert.doesNotMatch(recorder.lines().join('\n'), /secret/);
});

test('unknown types are kept as such, and their names are not', () => {
  const recorder = new FlightRecorder({});
  recorder.received(0, serviceMessage('token_refresh'));
  assert.deepEqual(records(recorder), ['< unknown seq=0 bytes=0']);
});

test('an acknowledgement of either type, and in any order of fields, is kept with what it acknowledges', () => {
  const recorder = new FlightRecorder({});
  const id = '0'.repeat(36);
  for (const text of [
    `{"AcknowledgedMessageType":"output_stream_data","AcknowledgedMessageId":"${id}","AcknowledgedMessageSequenceNumber":41,"IsSequentialMessage":true}`,
    `{"AcknowledgedMessageType":"input_stream_data","AcknowledgedMessageId":"${id}","AcknowledgedMessageSequenceNumber":42,"IsSequentialMessage":true}`,
    '{"AcknowledgedMessageSequenceNumber":43}',
    `{"IsSequentialMessage":true,"AcknowledgedMessageSequenceNumber":44,"AcknowledgedMessageId":"${id}"}`,
  ])
    recorder.received(0, serviceMessage(MESSAGE_TYPE.ACKNOWLEDGE, text));
  assert.deepEqual(
    records(recorder),
    [41, 42, 43, 44].map((sequence) => `< acknowledge of=${sequence}`),
  );
});

test('an acknowledgement without the usual field is kept by its sequence number', () => {
  const recorder = new FlightRecorder({});
  for (const text of [
    '',
    '{}',
    '{"AcknowledgedMessageSequenceNumber":',
    '{"AcknowledgedMessageSequenceNumber":"4"}',
  ])
    recorder.received(0, serviceMessage(MESSAGE_TYPE.ACKNOWLEDGE, text));
  for (const line of records(recorder)) assert.match(line, /^< acknowledge seq=0 bytes=\d+$/);
});

test('every truncation of every message can be recorded', () => {
  const messages = [inputMessage(1, 'x'), acknowledgeMessage(2), channelClosedMessage('bye')];
  for (const message of messages) {
    for (let length = 0; length < message.length; length += 1) {
      const recorder = new FlightRecorder({});
      recorder.received(0, message.subarray(0, length));
      assert.equal(records(recorder).length, 1);
      if (length < 116) assert.deepEqual(records(recorder), [`< malformed bytes=${length}`]);
    }
  }
});

test('random and mutated bytes can be recorded', () => {
  const random = seededRandom(7);
  const recorder = new FlightRecorder({}, 64);
  for (let round = 0; round < 5_000; round += 1) {
    const message =
      round % 2 === 0 ? randomBuffer(random, randomInteger(random, 0, 400)) : acknowledgeMessage(round);
    if (message.length > 0) message[randomInteger(random, 0, message.length - 1)] = round & 0xff;
    recorder.received(round, message);
  }
  assert.equal(records(recorder).length, 64);
});
