/** Conformance of the channel: names cite lines of the checklist in protocol.md section 10. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { CLIENT_VERSION, UNREAD_LIMIT_BYTES, UNUSED_SEQUENCE_NUMBER } from '../../src/protocol/limits.ts';
import { MESSAGE_TYPE, PAYLOAD_TYPE } from '../../src/protocol/message.ts';
import { compareVersions } from '../../src/protocol/versions.ts';
import { ChannelBench } from '../support/channel-bench.ts';
import {
  acknowledgeMessage,
  channelClosedMessage,
  handshakeComplete,
  handshakeRequest,
  outputMessage,
  serviceMessage,
} from '../support/fake-agent.ts';

function ready(options: ConstructorParameters<typeof ChannelBench>[0] = {}): ChannelBench {
  const bench = new ChannelBench(options);
  bench.handshake();
  bench.receive(acknowledgeMessage(0));
  bench.received.clear();
  return bench;
}

interface Response {
  readonly ClientVersion: string;
  readonly ProcessedClientActions: {
    ActionType: string;
    ActionStatus: number;
    ActionResult: unknown;
    Error: string;
  }[];
  readonly Errors: string[] | null;
}

function responseOf(bench: ChannelBench): Response {
  const [message] = bench.received.stream;
  assert.ok(message);
  assert.equal(message.payloadType, PAYLOAD_TYPE.HANDSHAKE_RESPONSE);
  return JSON.parse(message.payload.toString()) as Response;
}

describe('channel: damaged and unknown messages', () => {
  test('line 6: a digest mismatch is dropped and not acknowledged; the resent message is accepted', () => {
    const bench = ready();
    const damaged = outputMessage(2, 'hello');
    damaged[damaged.length - 1] = 0;
    bench.receive(damaged);
    assert.deepEqual(bench.received.acknowledged, []);
    bench.receive(outputMessage(2, 'hello'));
    assert.deepEqual(bench.received.acknowledged, [2]);
    assert.equal(bench.text, 'hello');
  });

  test('line 8: an unknown message type is ignored and not acknowledged', () => {
    const bench = ready();
    bench.receive(serviceMessage('data_channel_ready'), serviceMessage('something_new', '{}'));
    assert.deepEqual(bench.received.messages, []);
  });

  test('line 8: an unknown payload type is acknowledged and not delivered', () => {
    const bench = ready();
    bench.receive(outputMessage(2, 'mystery', 77), outputMessage(3, 'data'));
    assert.deepEqual(bench.received.acknowledged, [2, 3]);
    assert.equal(bench.text, 'data');
  });

  test('malformed bytes cost only themselves', () => {
    const bench = ready();
    bench.receive(Buffer.alloc(3), Buffer.alloc(400), outputMessage(2, 'on'));
    assert.equal(bench.text, 'on');
  });

  test('a malformed flag or exit code is acknowledged, so that it cannot block the stream', () => {
    const bench = ready();
    bench.receive(outputMessage(2, 'x', PAYLOAD_TYPE.FLAG), outputMessage(3, 'y', PAYLOAD_TYPE.EXIT_CODE));
    bench.receive(outputMessage(4, 'on'));
    assert.deepEqual(bench.received.acknowledged, [2, 3, 4]);
    assert.equal(bench.text, 'on');
  });

  test('an empty stream message is acknowledged', () => {
    const bench = ready();
    bench.receive(outputMessage(2, ''), outputMessage(3, 'x'));
    assert.deepEqual(bench.received.acknowledged, [2, 3]);
  });
});

describe('channel: handshake', () => {
  test('line 14: the request is acknowledged, then answered at sequence number 0, an entry per action in order', () => {
    const bench = new ChannelBench();
    bench.run((channel, now) => channel.linkUp(now));
    bench.receive(outputMessage(0, handshakeRequest({ extraActions: [{ ActionType: 'Dance' }] }), 5));
    assert.deepEqual(
      bench.received.messages.map(({ messageType }) => messageType),
      [MESSAGE_TYPE.ACKNOWLEDGE, MESSAGE_TYPE.INPUT_STREAM_DATA],
    );
    assert.deepEqual(bench.received.sequenceNumbers, [0]);
    assert.deepEqual(
      responseOf(bench).ProcessedClientActions.map(({ ActionType }) => ActionType),
      ['SessionType', 'Dance'],
    );
  });

  test('line 15: a repeated request is acknowledged again and not answered again', () => {
    const bench = new ChannelBench();
    const request = outputMessage(0, handshakeRequest(), PAYLOAD_TYPE.HANDSHAKE_REQUEST);
    bench.run((channel, now) => channel.linkUp(now));
    bench.receive(request, request);
    bench.receive(outputMessage(1, handshakeRequest(), PAYLOAD_TYPE.HANDSHAKE_REQUEST));
    assert.deepEqual(bench.received.acknowledged, [0, 0, 1]);
    assert.deepEqual(bench.received.sequenceNumbers, [0]);
  });

  test('line 16: an unknown action is answered with status 3, an unknown session type with status 2', () => {
    const bench = new ChannelBench();
    bench.run((channel, now) => channel.linkUp(now));
    const request = handshakeRequest({ sessionType: 'Opera', extraActions: [{ ActionType: 'Dance' }] });
    bench.receive(outputMessage(0, request, PAYLOAD_TYPE.HANDSHAKE_REQUEST));
    const response = responseOf(bench);
    assert.deepEqual(
      response.ProcessedClientActions.map(({ ActionStatus, ActionResult, Error }) => [
        ActionStatus,
        ActionResult,
        Error,
      ]),
      [
        [2, null, 'Failed to process action SessionType: Unknown session type Opera'],
        [3, null, 'Unsupported action Dance'],
      ],
    );
    assert.deepEqual(response.Errors, [
      'Failed to process action SessionType: Unknown session type Opera',
      'Unsupported action Dance',
    ]);
  });

  test('line 17: no data before HandshakeComplete, also if it comes before the acknowledgement of the response', () => {
    const bench = new ChannelBench();
    bench.run((channel, now) => channel.linkUp(now));
    bench.write('early');
    bench.receive(outputMessage(0, handshakeRequest(), PAYLOAD_TYPE.HANDSHAKE_REQUEST));
    assert.deepEqual(bench.received.sequenceNumbers, [0]);
    bench.receive(outputMessage(1, handshakeComplete(), PAYLOAD_TYPE.HANDSHAKE_COMPLETE));
    assert.deepEqual(bench.received.sequenceNumbers, [0, 1]);
    assert.equal(bench.received.stream[1]?.payload.toString(), 'early');
  });

  test('line 17: HandshakeComplete that arrives before the request it follows waits its turn', () => {
    const bench = new ChannelBench();
    bench.run((channel, now) => channel.linkUp(now));
    bench.receive(outputMessage(1, handshakeComplete(), PAYLOAD_TYPE.HANDSHAKE_COMPLETE));
    assert.equal(bench.channel.state, 'awaiting-request');
    bench.receive(outputMessage(0, handshakeRequest(), PAYLOAD_TYPE.HANDSHAKE_REQUEST));
    assert.equal(bench.channel.state, 'ready');
  });

  test('line 18: without a handshake the first Output makes a shell, and its bytes are delivered', () => {
    const bench = new ChannelBench();
    bench.run((channel, now) => channel.linkUp(now));
    bench.receive(outputMessage(0, '$ '));
    assert.equal(bench.text, '$ ');
    assert.equal(bench.channel.facts?.sessionType, 'Standard_Stream');
  });

  test('line 19: the CustomerMessage is a notice', () => {
    const bench = new ChannelBench();
    bench.run((channel, now) => channel.linkUp(now));
    bench.receive(outputMessage(0, handshakeRequest(), PAYLOAD_TYPE.HANDSHAKE_REQUEST));
    const actions = bench.receive(
      outputMessage(1, handshakeComplete('be kind\r\n'), PAYLOAD_TYPE.HANDSHAKE_COMPLETE),
    );
    assert.deepEqual(
      actions.filter(({ kind }) => kind === 'notice'),
      [{ kind: 'notice', text: 'be kind' }],
    );
  });

  test('line 20: the client version has four numbers and is at least the documented minimum', () => {
    assert.match(CLIENT_VERSION, /^\d+\.\d+\.\d+\.\d+$/);
    assert.ok(compareVersions(CLIENT_VERSION, '1.2.764.0') >= 0);
    const bench = new ChannelBench();
    bench.handshake();
    assert.equal(responseOf(bench).ClientVersion, CLIENT_VERSION);
  });

  test('a handshake that never comes fails within its bound', () => {
    const bench = new ChannelBench({ handshakeTimeoutMs: 30_000 });
    bench.run((channel, now) => channel.linkUp(now));
    assert.deepEqual(bench.advance(29_999), []);
    const [action] = bench.advance(1);
    assert.ok(action?.kind === 'failed' && action.error.code === 'HANDSHAKE_FAILED');
    assert.equal(bench.channel.deadline(), undefined);
  });

  test('a handshake that makes no sense fails at once', () => {
    const bench = new ChannelBench();
    bench.run((channel, now) => channel.linkUp(now));
    const actions = bench.receive(outputMessage(0, 'not json', PAYLOAD_TYPE.HANDSHAKE_REQUEST));
    assert.ok(actions.some((action) => action.kind === 'failed' && action.error.code === 'PROTOCOL_ERROR'));
  });
});

describe('channel: receiving', () => {
  test('line 24: a thousand messages in reverse order give the exact stream, each acknowledged once', () => {
    const bench = ready();
    const count = 1000;
    const messages = Array.from({ length: count }, (_, i) => outputMessage(2 + i, `<${i}>`));
    bench.receive(...messages.reverse());
    assert.equal(bench.text, Array.from({ length: count }, (_, i) => `<${i}>`).join(''));
    assert.deepEqual(
      [...bench.received.acknowledged].sort((a, b) => a - b),
      Array.from({ length: count }, (_, i) => 2 + i),
    );
  });

  test('line 25: a duplicate is acknowledged again and not delivered again', () => {
    const bench = ready();
    bench.receive(outputMessage(2, 'a'), outputMessage(2, 'a'), outputMessage(4, 'c'), outputMessage(4, 'c'));
    assert.deepEqual(bench.received.acknowledged, [2, 2, 4, 4]);
    bench.receive(outputMessage(3, 'b'));
    assert.equal(bench.text, 'abc');
  });

  test('line 31: unread bytes are bounded, acknowledgements stop at the bound, and nothing is lost', () => {
    const bench = ready();
    bench.isReading = false;
    const payload = Buffer.alloc(64 * 1024, 1);
    let sequenceNumber = 2;
    while (bench.received.acknowledged.length === sequenceNumber - 2 && sequenceNumber < 1000) {
      bench.receive(outputMessage(sequenceNumber, payload));
      sequenceNumber += 1;
    }
    const refused = sequenceNumber - 1;
    assert.ok(bench.channel.isFull);
    assert.equal(bench.channel.stats().unreadBytes, UNREAD_LIMIT_BYTES);
    bench.run((channel, now) => channel.consumed(UNREAD_LIMIT_BYTES, now));
    assert.ok(bench.channel.wantsMore);
    bench.receive(outputMessage(refused, 'end'));
    assert.equal(bench.received.acknowledged.at(-1), refused);
    assert.equal(Buffer.concat(bench.delivered).length, UNREAD_LIMIT_BYTES + 3);
  });

  test('messages that waited behind a full reader are delivered when it reads on', () => {
    const bench = ready();
    bench.isReading = false;
    const payload = Buffer.alloc(1024 * 1024, 2);
    for (let i = 1; i <= 16; i += 1) bench.receive(outputMessage(2 + i, payload));
    bench.receive(outputMessage(19, 'tail'));
    bench.receive(outputMessage(2, 'head'));
    assert.ok(!bench.text.endsWith('tail'));
    bench.isReading = true;
    bench.run((channel, now) => channel.consumed(channel.stats().unreadBytes, now));
    assert.ok(bench.text.startsWith('head') && bench.text.endsWith('tail'));
  });

  test('stderr and exit code arrive apart from stdout', () => {
    const bench = ready();
    const actions = bench.receive(
      outputMessage(2, 'out'),
      outputMessage(3, 'err', PAYLOAD_TYPE.STD_ERR),
      outputMessage(4, 'EXIT_CODE: 3', PAYLOAD_TYPE.EXIT_CODE),
      outputMessage(5, Buffer.from([0, 0, 0, 3]), PAYLOAD_TYPE.FLAG),
    );
    const seen = actions.flatMap((action) => {
      if (action.kind === 'deliver') return [`${action.stream} ${action.data.toString()}`];
      if (action.kind === 'exitCode') return [`exit ${action.exitCode}`];
      return action.kind === 'flag' ? [`flag ${action.flag}`] : [];
    });
    assert.deepEqual(seen, ['stdout out', 'stderr err', 'exit 3', 'flag 3']);
  });
});

describe('channel: sending', () => {
  test('line 23: sequence numbers run through all payload types', () => {
    const bench = ready();
    bench.write('a');
    bench.write('b');
    bench.run((channel, now) => channel.terminate(now));
    assert.deepEqual(bench.received.sequenceNumbers, [1, 2, 3]);
    assert.deepEqual(
      bench.received.stream.map(({ payloadType }) => payloadType),
      [PAYLOAD_TYPE.OUTPUT, PAYLOAD_TYPE.OUTPUT, PAYLOAD_TYPE.FLAG],
    );
  });

  test('line 34: any bytes leave unchanged in payloads of at most 1024, a single line feed too', () => {
    const bench = ready();
    bench.write('\n');
    const pattern = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 256));
    bench.write(pattern);
    assert.equal(bench.received.stream[0]?.payload.toString('hex'), '0a');
    assert.ok(bench.received.stream.every(({ payload }) => payload.length <= 1024));
    assert.ok(Buffer.concat(bench.received.stream.slice(1).map(({ payload }) => payload)).equals(pattern));
  });

  test('line 34: 10 MiB written in odd pieces arrive with the same hash', () => {
    const bench = ready();
    const whole = Buffer.from(Array.from({ length: 10 * 1024 * 1024 }, (_, i) => (i * 7) % 256));
    const hash = createHash('sha256');
    let next = 1;
    const collect = (): void => {
      const arrived = bench.received.stream;
      bench.received.clear();
      for (const message of arrived) {
        assert.equal(message.sequenceNumber, next);
        next += 1;
        hash.update(message.payload);
        bench.receive(acknowledgeMessage(message.sequenceNumber));
      }
    };
    for (let offset = 0, size = 1; offset < whole.length; offset += size, size = (size * 31) % 65_521) {
      size = Math.min(size, whole.length - offset);
      bench.write(whole.subarray(offset, offset + size));
      while (bench.received.stream.length > 0) collect();
    }
    assert.equal(hash.digest('hex'), createHash('sha256').update(whole).digest('hex'));
  });

  test('line 26: a message whose acknowledgement was lost is resent within a second, and the second one is accepted', () => {
    const bench = ready();
    bench.write('x');
    bench.advance(1000);
    assert.deepEqual(bench.received.sequenceNumbers.slice(0, 2), [1, 1]);
    bench.receive(acknowledgeMessage(1));
    assert.ok(bench.channel.isDrained);
    assert.equal(bench.channel.deadline(), undefined);
  });

  test('line 27: sixty lost in a row heal in less than six seconds', () => {
    const bench = ready();
    for (let i = 0; i < 60; i += 1) bench.write('lost');
    bench.received.clear();
    let elapsed = 0;
    while (!bench.channel.isDrained && elapsed < 6000) {
      bench.advance(10);
      elapsed += 10;
      const arrived = bench.received.sequenceNumbers;
      bench.received.clear();
      bench.receive(...arrived.map((sequenceNumber) => acknowledgeMessage(sequenceNumber)));
    }
    assert.ok(bench.channel.isDrained);
    assert.ok(elapsed < 2000, `${elapsed} ms`);
  });

  test('a gap shown by later acknowledgements is resent at once', () => {
    const bench = ready();
    for (let i = 0; i < 6; i += 1) bench.write('x');
    bench.received.clear();
    bench.receive(...[2, 3, 4, 5].map(acknowledgeMessage));
    assert.deepEqual(bench.received.sequenceNumbers, [1]);
  });

  test('a silent peer is probed with the oldest message only, ever more slowly', () => {
    const bench = ready();
    for (let i = 0; i < 50; i += 1) bench.write('x');
    bench.received.clear();
    bench.advance(60_000);
    assert.ok(bench.received.sequenceNumbers.every((sequenceNumber) => sequenceNumber === 1));
    assert.ok(bench.received.sequenceNumbers.length < 20, `${bench.received.sequenceNumbers.length} probes`);
  });

  test('line 29: an acknowledgement of an unknown message is ignored', () => {
    const bench = ready();
    bench.receive(acknowledgeMessage(99), acknowledgeMessage(0));
    bench.write('x');
    assert.deepEqual(bench.received.sequenceNumbers, [1]);
  });

  test('line 30: a full window stops the source; nothing is evicted', () => {
    const bench = ready({ windowBytes: 8 * 1024 });
    const whole = Buffer.alloc(512 * 1024, 'w');
    let offset = 0;
    let hasRoom = true;
    bench.run((channel, now) => {
      while (hasRoom) {
        hasRoom = channel.write(whole.subarray(offset, offset + 4096), now);
        offset += 4096;
      }
    });
    assert.equal(bench.received.stream.length, 8);
    assert.equal(bench.channel.stats().pendingBytes, offset - 8 * 1024);
    let sent = 0;
    while (sent < offset) {
      const [message] = bench.received.stream;
      assert.ok(message);
      sent += message.payload.length;
      bench.received.messages.splice(bench.received.messages.indexOf(message), 1);
      bench.receive(acknowledgeMessage(message.sequenceNumber));
    }
    assert.ok(bench.kinds.includes('writable'));
    assert.ok(bench.channel.isDrained);
  });

  test('line 33: the rate stays at the pace over time', () => {
    const bench = ready({ messagesPerSecond: 900 });
    const seconds = 10;
    bench.write(Buffer.alloc(2 * 1024 * 1024));
    let sent = 0;
    for (let step = 0; step < seconds * 100; step += 1) {
      bench.advance(10);
      const arrived = bench.received.sequenceNumbers;
      sent += arrived.length;
      bench.received.clear();
      bench.receive(...arrived.map((sequenceNumber) => acknowledgeMessage(sequenceNumber)));
      bench.write(Buffer.alloc(10 * 1024));
    }
    assert.ok(sent <= 900 * seconds + 100, `${sent} messages`);
    assert.ok(sent >= 0.98 * 900 * seconds, `${sent} messages`);
  });

  test('line 32: pause stops new data and leaves a probe a second; each of start, ack and output ends it', () => {
    const ends: [string, Buffer][] = [
      ['start_publication', serviceMessage(MESSAGE_TYPE.START_PUBLICATION)],
      ['an acknowledgement', acknowledgeMessage(1)],
      ['output', outputMessage(2, 'o')],
    ];
    for (const [name, end] of ends) {
      const bench = ready();
      bench.write('before');
      bench.receive(serviceMessage(MESSAGE_TYPE.PAUSE_PUBLICATION));
      bench.write('after');
      bench.received.clear();
      bench.advance(5500);
      assert.deepEqual(bench.received.sequenceNumbers, [1, 1, 1, 1, 1], name);
      bench.receive(end);
      assert.ok(bench.received.sequenceNumbers.includes(2), name);
    }
  });

  test('what was under way when the pause came does not end it, but shows after a while that there is none', () => {
    const bench = ready();
    bench.write('before');
    bench.receive(serviceMessage(MESSAGE_TYPE.PAUSE_PUBLICATION), acknowledgeMessage(1));
    bench.write('after');
    bench.advance(150);
    assert.ok(!bench.received.sequenceNumbers.includes(2));
    // Asked for again, it begins anew.
    bench.receive(serviceMessage(MESSAGE_TYPE.PAUSE_PUBLICATION), outputMessage(2, 'o'));
    bench.advance(150);
    assert.ok(!bench.received.sequenceNumbers.includes(2));
    bench.advance(100);
    assert.ok(bench.received.sequenceNumbers.includes(2));
  });

  test('line 32: acknowledgements still go out while paused', () => {
    const bench = ready();
    bench.receive(serviceMessage(MESSAGE_TYPE.PAUSE_PUBLICATION), outputMessage(3, 'b'));
    assert.deepEqual(bench.received.acknowledged, [3]);
  });

  test('line 35: ten minutes without any acknowledgement do not end the session', () => {
    const bench = ready();
    bench.write('x');
    bench.advance(600_000);
    assert.equal(bench.channel.state, 'ready');
    bench.receive(acknowledgeMessage(1));
    assert.ok(bench.channel.isDrained);
  });

  test('a late acknowledgement of a probed message costs that message, not everything in flight', () => {
    const bench = ready();
    bench.write(Buffer.alloc(20 * 1024));
    bench.advance(300);
    assert.deepEqual(bench.received.sequenceNumbers.slice(20), [1]);
    for (let sequenceNumber = 1; sequenceNumber <= 20; sequenceNumber += 1) {
      bench.receive(acknowledgeMessage(sequenceNumber));
      bench.advance(1);
    }
    assert.equal(bench.received.sequenceNumbers.length, 21);
    assert.ok(bench.channel.isDrained);
  });

  test('when everything was lost, the acknowledgement of the probe brings the rest a round trip later', () => {
    const bench = ready();
    bench.write(Buffer.alloc(20 * 1024));
    bench.received.clear();
    bench.advance(300);
    assert.deepEqual(bench.received.sequenceNumbers, [1]);
    bench.receive(acknowledgeMessage(1));
    bench.advance(150);
    assert.deepEqual(
      bench.received.sequenceNumbers,
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
  });

  test('an agent that never acknowledges duplicates does not hold the window for ever', () => {
    const bench = new ChannelBench({ windowBytes: 4096 });
    bench.handshake({ agentVersion: '3.2.1040.0' });
    bench.receive(acknowledgeMessage(0));
    bench.write('its acknowledgement is lost');
    for (let next = 2; next < 200; next += 1) {
      bench.write('x');
      bench.advance(200);
      bench.receive(acknowledgeMessage(next));
    }
    assert.equal(bench.channel.stats().unackedMessages, 0);
  });

  test('terminate sends no flag to agents that do not know it', () => {
    for (const [agentVersion, isSent] of [
      ['2.3.722.0', false],
      ['2.3.723.0', true],
    ] as const) {
      const bench = new ChannelBench();
      bench.handshake({ agentVersion });
      let sent: boolean | undefined;
      bench.run((channel, now) => (sent = channel.terminate(now)));
      assert.equal(sent, isSent, agentVersion);
    }
  });
});

describe('channel: loss of the link', () => {
  test('line 48: writes in the gap leave afterwards, after everything unacknowledged, in order', () => {
    const bench = ready();
    bench.write('1');
    bench.write('2');
    bench.run((channel, now) => channel.linkDown(now));
    bench.received.clear();
    bench.write('3');
    bench.advance(60_000);
    assert.deepEqual(bench.received.messages, []);
    bench.run((channel, now) => channel.linkUp(now));
    assert.deepEqual(
      bench.received.stream.map(({ sequenceNumber, payload }) => [sequenceNumber, payload.toString()]),
      [
        [1, '1'],
        [2, '2'],
        [3, '3'],
      ],
    );
  });

  test('a new link begins with the acknowledgements that may have been lost with the old one', () => {
    const bench = ready();
    bench.receive(outputMessage(2, 'a'), outputMessage(3, 'b'));
    bench.run((channel, now) => channel.linkDown(now));
    bench.advance(60_000);
    bench.received.clear();
    bench.run((channel, now) => channel.linkUp(now));
    // The agent resends the others, one per scan, before anything that was really lost; and it may have been paused.
    assert.deepEqual(bench.received.acknowledged, [0, 1, 2, 3]);
    assert.deepEqual(bench.received.sequenceNumbers, []);
    assert.equal(bench.text, 'ab');
  });

  test('line 51: a link lost before, during and after the handshake brings the session up all the same', () => {
    const request = outputMessage(0, handshakeRequest(), PAYLOAD_TYPE.HANDSHAKE_REQUEST);
    const complete = outputMessage(1, handshakeComplete(), PAYLOAD_TYPE.HANDSHAKE_COMPLETE);
    for (const lossAt of [0, 1, 2]) {
      const bench = new ChannelBench();
      const drop = (step: number): void => {
        if (step !== lossAt) return;
        bench.run((channel, now) => channel.linkDown(now));
        bench.run((channel, now) => channel.linkUp(now));
      };
      bench.run((channel, now) => channel.linkUp(now));
      drop(0);
      bench.receive(request);
      drop(1);
      bench.receive(acknowledgeMessage(0));
      drop(2);
      bench.receive(complete);
      assert.equal(bench.channel.state, 'ready');
      assert.ok(new Set(bench.received.sequenceNumbers).size === 1, 'one response only');
    }
  });

  test('a new link before anything came begins with an acknowledgement of nothing: the agent may be paused', () => {
    const bench = new ChannelBench();
    bench.run((channel, now) => channel.linkUp(now));
    assert.deepEqual(bench.received.messages, []);
    bench.run((channel, now) => channel.linkDown(now));
    bench.run((channel, now) => channel.linkUp(now));
    assert.deepEqual(bench.received.acknowledged, [UNUSED_SEQUENCE_NUMBER]);
  });

  test('line 54: channel_closed ends it, with the reason; later input changes nothing', () => {
    const bench = ready();
    const actions = bench.receive(channelClosedMessage('terminated by admin'));
    assert.deepEqual(actions, [{ kind: 'closed', output: 'terminated by admin', isTruncated: false }]);
    bench.receive(outputMessage(2, 'late'));
    bench.write('late');
    assert.equal(bench.text, '');
    assert.equal(bench.channel.deadline(), undefined);
  });

  test('channel_closed behind a gap says that bytes are missing', () => {
    const bench = ready();
    bench.receive(outputMessage(3, 'b'));
    const actions = bench.receive(channelClosedMessage(''));
    assert.deepEqual(actions, [{ kind: 'closed', output: '', isTruncated: true }]);
  });
});
