/** The emulated agent's reader and sender: protocol.md 3, 4 and 12, agent columns. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MESSAGE_TYPE, PAYLOAD_TYPE } from '../../src/protocol/message.ts';
import type { Message } from '../../src/protocol/message.ts';
import { FLAG } from '../../src/protocol/payloads.ts';
import type { ScriptedClientOptions } from '../support/scripted-client.ts';
import { encodeStream, ScriptedClient } from '../support/scripted-client.ts';
import { TestServer } from '../support/tcp-server.ts';
import { until } from '../support/until.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const { OUTPUT } = PAYLOAD_TYPE;

/** A plain port session that is connected to a server which collects. */
async function connect(
  t: { after(fn: () => void): void },
  options: ScriptedClientOptions = {},
): Promise<{ client: ScriptedClient; server: TestServer }> {
  const server = await TestServer.start();
  const client = new ScriptedClient({ dial: server.address, ...options });
  t.after(() => {
    client.session.kill();
    server.close();
  });
  await until('the connection', () => server.connections.length === 1 && client.traces.includes('dialled'));
  return { client, server };
}

describe('receiving', () => {
  test('12: order 2 1 1 0 0 3 is acknowledged as 2 1 1 0 0 3 and delivered in order', async (t) => {
    const { client, server } = await connect(t);
    for (const n of [2, 1, 1, 0, 0, 3]) client.send(OUTPUT, `<${n}>`, 1 + n);
    assert.deepEqual(client.acknowledged.slice(1), [3, 2, 2, 1, 1, 4]);
    await until('the bytes', () => server.received[0]?.toString() === '<0><1><2><3>');
    // One of the two copies that came ahead of their turn replaced the other; only the late one is a duplicate.
    assert.equal(client.session.stats().duplicatesReceived, 1);
    assert.equal(client.session.stats().receivedBytes, 12);
  });

  test('4.3: an agent before 3.2.1041.0 drops duplicates, and reackDuplicates decides over the version', async (t) => {
    const request = { agentVersion: '3.2.1040.0' };
    const { client } = await connect(t, { request });
    client.send(OUTPUT, 'a', 1);
    client.send(OUTPUT, 'a', 1);
    assert.deepEqual(client.acknowledged, [0, 1]);
    client.behaviour.reackDuplicates = true;
    client.send(OUTPUT, 'a', 1);
    assert.deepEqual(client.acknowledged, [0, 1, 1]);
    client.behaviour.reackDuplicates = false;
    client.send(OUTPUT, 'a', 1);
    assert.deepEqual(client.acknowledged, [0, 1, 1]);
  });

  test('3.3: an acknowledgement has sequence number 0, header flags 3, and names the message by number', async (t) => {
    const { client } = await connect(t);
    const ack = client.received.find((message) => message.messageType === MESSAGE_TYPE.ACKNOWLEDGE);
    assert.equal(ack?.sequenceNumber, 0);
    assert.equal(ack?.flags, 3);
    assert.match(
      ack?.payload.toString() ?? '',
      /^\{"AcknowledgedMessageType":"input_stream_data","AcknowledgedMessageId":"[0-9a-f-]{36}","AcknowledgedMessageSequenceNumber":0,"IsSequentialMessage":true\}$/,
    );
  });

  test('3: the digest is not checked', async (t) => {
    const { client, server } = await connect(t);
    const bytes = encodeStream(OUTPUT, Buffer.from('right'), 1);
    bytes.write('wrong', bytes.length - 5);
    client.session.receive(bytes);
    await until('the bytes', () => server.received[0]?.toString() === 'wrong');
    assert.deepEqual(client.acknowledged, [0, 1]);
  });

  test('3.2: unknown payload types and empty payloads are acknowledged and do nothing', async (t) => {
    const { client, server } = await connect(t);
    client.send(77, 'what', 1);
    client.send(OUTPUT, '', 2);
    client.send(OUTPUT, 'x', 3);
    await until('the byte', () => server.received[0]?.toString() === 'x');
    assert.deepEqual(client.acknowledged, [0, 1, 2, 3]);
  });

  test('4.3: unknown message types, malformed messages and those without a date are not acknowledged', async (t) => {
    const { client } = await connect(t);
    client.sendControl('agent_job', Buffer.from('{}'));
    client.sendControl(MESSAGE_TYPE.ACKNOWLEDGE, Buffer.from('no json'));
    client.session.receive(Buffer.from('short'));
    client.session.receive(Buffer.alloc(300));
    client.sendControl(MESSAGE_TYPE.PAUSE_PUBLICATION, Buffer.alloc(0), 0);
    assert.equal(client.session.stats().isPaused, false);
    assert.deepEqual(client.acknowledged, [0]);
    client.send(OUTPUT, 'x', 1);
    assert.deepEqual(client.acknowledged, [0, 1]);
  });

  test('stopAcks and dropAcks keep acknowledgements from being sent, not messages from being handled', async (t) => {
    const { client, server } = await connect(t);
    client.behaviour.stopAcks = true;
    client.send(OUTPUT, 'a', 1);
    client.behaviour.stopAcks = false;
    client.behaviour.dropAcks = 2;
    for (const n of [2, 3, 4]) client.send(OUTPUT, 'b', n);
    assert.equal(client.behaviour.dropAcks, 0);
    assert.deepEqual(client.acknowledged, [0, 4]);
    await until('the bytes', () => server.received[0]?.toString() === 'abbb');
  });

  test('4.3: before the TCP connection exists data is refused; the first repetition after it is handled', async (t) => {
    const server = await TestServer.start();
    const clock = new VirtualClock();
    const client = new ScriptedClient({ dial: server.address, clock, behaviour: { dialDelayMs: 400 } });
    t.after(() => {
      client.session.kill();
      server.close();
    });
    await client.handshake();
    client.send(OUTPUT, 'a', 1);
    assert.deepEqual(client.acknowledged, [0]);
    clock.advance(400);
    await until('the connection', () => client.traces.includes('dialled'));
    client.send(OUTPUT, 'a', 1);
    assert.deepEqual(client.acknowledged, [0, 1]);
  });

  test('4.3: a message kept ahead whose handling fails stays undelivered though it was acknowledged', async (t) => {
    const server = await TestServer.start();
    const clock = new VirtualClock();
    const client = new ScriptedClient({ dial: server.address, clock, behaviour: { dialDelayMs: 400 } });
    t.after(() => {
      client.session.kill();
      server.close();
    });
    // Ahead of the response, which comes with number 0: the response is handled, the data finds no connection.
    client.send(OUTPUT, 'lost', 1);
    client.respond([{ ActionType: 'SessionType', ActionStatus: 1, ActionResult: null, Error: '' }], 0);
    clock.advance(400);
    await until('the connection', () => client.traces.includes('dialled'));
    client.send(OUTPUT, 'next', 2);
    assert.deepEqual(client.acknowledged, [1, 0, 2]);
    assert.equal(client.session.stats().receivedBytes, 0);
  });
});

describe('pause and start, 4.4', () => {
  async function pausedAfterFirst(t: { after(fn: () => void): void }): Promise<{
    client: ScriptedClient;
    server: TestServer;
    clock: VirtualClock;
  }> {
    const clock = new VirtualClock();
    const { client, server } = await connect(t, { clock });
    server.connections[0]?.write('first');
    await until('the first bytes', () => client.output.toString() === 'first');
    await until('its acknowledgement', () => client.session.stats().unackedMessages === 0);
    clock.advance(1);
    client.sendControl(MESSAGE_TYPE.PAUSE_PUBLICATION);
    assert.equal(client.session.stats().isPaused, true);
    return { client, server, clock };
  }

  test('a read that waits already takes one more message, stored and not sent; then the source is not read', async (t) => {
    const { client, server, clock } = await pausedAfterFirst(t);
    server.connections[0]?.write('a'.repeat(5000));
    await until('the stored message', () => client.session.stats().unackedMessages === 1);
    clock.advance(10_000);
    assert.equal(client.session.stats().sentBytes, 5 + 1024);
    assert.equal(client.output.toString(), 'first');
    assert.equal(client.session.stats().retransmissions, 0);
  });

  test('start_publication resumes; the stored message comes by retransmission', async (t) => {
    const { client, server, clock } = await pausedAfterFirst(t);
    server.connections[0]?.write('a'.repeat(3000));
    await until('the stored message', () => client.session.stats().unackedMessages === 1);
    client.sendControl(MESSAGE_TYPE.START_PUBLICATION);
    await until('all bytes', () => {
      clock.advance(50);
      return client.output.length === 3005;
    });
    assert.equal(client.session.stats().retransmissions > 0, true);
    assert.equal(client.output.toString(), `first${'a'.repeat(3000)}`);
  });

  for (const [what, wake] of [
    ['any input_stream_data', (client: ScriptedClient) => void client.send(OUTPUT, 'x', 40)],
    ['any acknowledge', (client: ScriptedClient) => client.acknowledge(client.received[0] as Message, 99)],
    [
      'a reconnect of the agent',
      (client: ScriptedClient) => {
        client.session.channelDown();
        client.session.channelUp();
      },
    ],
  ] as const) {
    test(`${what} clears it`, async (t) => {
      const { client } = await pausedAfterFirst(t);
      wake(client);
      assert.equal(client.session.stats().isPaused, false);
    });
  }

  test('input is still handled and acknowledged', async (t) => {
    const { client, server } = await pausedAfterFirst(t);
    client.send(OUTPUT, 'up', 1);
    assert.deepEqual(client.acknowledged, [0, 1]);
    await until('the bytes', () => server.received[0]?.toString() === 'up');
  });

  test('12: a paused agent whose read has not begun misses the end of its server', async (t) => {
    const { client, server, clock } = await pausedAfterFirst(t);
    server.connections[0]?.write('last');
    await until('the stored message', () => client.session.stats().unackedMessages === 1);
    server.connections[0]?.end();
    await clock.advanceAsync(5000);
    assert.equal(client.traces.includes('server-ended'), false);
    client.sendControl(MESSAGE_TYPE.START_PUBLICATION);
    await until('the end', () => {
      clock.advance(50);
      return client.hasEnded;
    });
    assert.equal(client.output.toString(), 'firstlast');
  });
});

describe("the agent's own channel", () => {
  test('7: while it is down messages are stored; afterwards numbers go on and nothing is lost', async (t) => {
    const clock = new VirtualClock();
    const { client, server } = await connect(t, { clock });
    client.session.channelDown();
    server.connections[0]?.write('during');
    await until('the stored message', () => client.session.stats().unackedMessages === 1);
    assert.equal(client.output.length, 0);
    client.session.channelUp();
    server.connections[0]?.write('after');
    await until('all bytes', () => {
      clock.advance(50);
      return client.output.toString() === 'duringafter';
    });
    assert.deepEqual(
      client.stream.map((message) => message.sequenceNumber),
      [0, 1, 2, 3],
    );
  });

  test('12: without any acknowledgement only the first message is repeated, sending goes on', async (t) => {
    const clock = new VirtualClock();
    const { client, server } = await connect(t, { clock });
    client.acknowledges = false;
    const before = client.received.length;
    server.connections[0]?.write(Buffer.alloc(20 * 1024));
    await until('20 messages', () => {
      clock.advance(5);
      return client.output.length === 20 * 1024;
    });
    clock.advance(2000);
    const repeated = client.received
      .slice(before)
      .filter((message) => message.messageType === MESSAGE_TYPE.OUTPUT_STREAM_DATA)
      .slice(20);
    assert.equal(repeated.length > 1, true);
    assert.deepEqual([...new Set(repeated.map((message) => message.sequenceNumber))], [2]);
  });
});

describe('the end by the service', () => {
  for (const [agentVersion, status] of [
    ['3.3.987.0', 'Success'],
    ['3.3.1311.0', 'Cancelled'],
  ] as const) {
    test(`8.4: channel_closed ends the task of agent ${agentVersion} as ${status}`, async (t) => {
      const { client, server } = await connect(t, { request: { agentVersion } });
      client.closeByService();
      assert.deepEqual(await client.ended(), { status, output: '' });
      await until('the end of the connection', () => server.connections[0]?.readableEnded);
    });
  }

  test('4.8: it gets through to an agent whose reader is blocked', async (t) => {
    const { client } = await connect(t);
    client.sendFlag(FLAG.TERMINATE_SESSION);
    // The second flag finds nobody: the reader hangs, and no later message is seen.
    client.sendFlag(FLAG.TERMINATE_SESSION);
    assert.equal((await client.ended()).status, 'Success');
    assert.deepEqual(client.acknowledged, [0, 1]);
  });
});
