/** Every fault of the data channel, played by the gateway on a live session. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeMessage, isDigestValid, MESSAGE_TYPE } from '../../src/protocol/message.ts';

import { until } from '../support/until.ts';
import type { ChannelClient } from '../support/emulator-clients.ts';
import { RecordingClock } from '../support/recording-clock.ts';
import type { ScriptedAgent } from '../support/scripted-agent.ts';
import { ServiceBench } from '../support/service-bench.ts';

const { INPUT_STREAM_DATA, OUTPUT_STREAM_DATA } = MESSAGE_TYPE;

let bench: ServiceBench;
const clock = new RecordingClock();

before(async () => {
  bench = await ServiceBench.create({ clock });
});
after(() => bench.close());

const received = (client: ChannelClient): string[] =>
  client.ofType(OUTPUT_STREAM_DATA).map((message) => message.payload.toString());
const heard = (agent: ScriptedAgent): string[] =>
  agent.ofType(INPUT_STREAM_DATA).map((message) => message.payload.toString());

test('messages are dropped in the direction of the rule only', async () => {
  await bench.with({ rules: [{ action: 'drop', direction: 'to-client', every: 2 }] }, async () => {
    const { client, agent, sessionId } = await bench.open();
    for (const text of ['a', 'b', 'c', 'd', 'e']) {
      agent.output(text);
      client.input(text);
    }
    await until('output', () => received(client).length === 3);
    await until('input', () => heard(agent).length === 5);
    assert.deepEqual(received(client), ['a', 'c', 'e']);
    assert.equal(bench.session(sessionId).relay.lostToClient, 2);
  });
});

test('messages are duplicated, delayed and reordered', async () => {
  await bench.with({ rules: [{ action: 'duplicate', count: 1, delayMs: 0 }] }, async () => {
    const { client, agent } = await bench.open();
    for (const text of ['a', 'b']) agent.output(text);
    await until('output', () => received(client).length === 3);
    assert.deepEqual(received(client), ['a', 'a', 'b']);
  });
  await bench.with({ rules: [{ action: 'delay', count: 1, delayMs: 60 }] }, async () => {
    const { client, agent } = await bench.open();
    for (const text of ['a', 'b']) agent.output(text);
    await until('output', () => received(client).length === 2);
    assert.deepEqual(received(client), ['b', 'a']);
  });
  await bench.with(
    { rules: [{ action: 'reorder', direction: 'to-agent', count: 1, behind: 2 }] },
    async () => {
      const { client, agent } = await bench.open();
      for (const text of ['a', 'b', 'c', 'd']) client.input(text);
      await until('input', () => heard(agent).length === 4);
      assert.deepEqual(heard(agent), ['b', 'c', 'a', 'd']);
    },
  );
});

test('a message held for reordering arrives by itself when nothing follows', async () => {
  await bench.with({ rules: [{ action: 'reorder', behind: 3 }] }, async () => {
    const { client, agent } = await bench.open();
    agent.output('alone');
    await until('output', () => received(client).length === 1);
  });
});

test('damaged messages arrive damaged, either way', async () => {
  await bench.with({ rules: [{ action: 'bad-digest' }] }, async () => {
    const { client, agent } = await bench.open();
    agent.output('x');
    client.input('y');
    const output = await until('output', () => client.ofType(OUTPUT_STREAM_DATA)[0]);
    const input = await until('input', () => agent.ofType(INPUT_STREAM_DATA)[0]);
    assert.deepEqual([isDigestValid(output), isDigestValid(input)], [false, false]);
  });
  await bench.with({ rules: [{ action: 'truncate' }] }, async () => {
    const { client, agent } = await bench.open();
    agent.output('x');
    client.input('y');
    await until('output', () => client.undecodable.length === 1);
    const input = await until('input', () => agent.raw[0]);
    assert.throws(() => decodeMessage(input));
  });
});

test('the client’s socket is cut after N messages, again and again, and the session goes on', async () => {
  await bench.with({ rules: [{ action: 'cut', direction: 'to-client', every: 3, count: 2 }] }, async () => {
    const session = await bench.open();
    let client = session.client;
    for (let cut = 0; cut < 2; cut += 1) {
      for (let i = 0; i < 3; i += 1) session.agent.output(`${cut}.${i}`);
      assert.equal((await client.gone()).code, 1006);
      client = await bench.reopen(session);
    }
    for (let i = 0; i < 6; i += 1) session.agent.output(`end ${i}`);
    await until('the rest', () => received(client).length === 6);
    assert.equal(bench.session(session.sessionId).status, 'Connected');
  });
});

test('the client’s socket is cut after N bytes of its own', async () => {
  await bench.with(
    { rules: [{ action: 'cut', direction: 'to-agent', everyBytes: 50_000, count: 1 }] },
    async () => {
      const { client, agent } = await bench.open();
      for (let i = 0; i < 60; i += 1) client.input(Buffer.alloc(900));
      await client.gone();
      // The 49th message of 1020 bytes is the first beyond; it and what follows are lost.
      assert.equal(heard(agent).length, 49);
    },
  );
});

test('a cut in the middle of a message leaves half a frame', async () => {
  await bench.with({ rules: [{ action: 'cut-mid-message', direction: 'to-client', skip: 1 }] }, async () => {
    const { client, agent } = await bench.open();
    agent.output('whole');
    agent.output(Buffer.alloc(5000));
    assert.equal((await client.gone()).code, 1006);
    assert.deepEqual(received(client), ['whole']);
  });
});

test('the channel is closed with any code and reason', async () => {
  await bench.with({ rules: [{ action: 'close', closeCode: 1001, closeReason: 'going away' }] }, async () => {
    const { client, agent } = await bench.open();
    agent.output('x');
    assert.deepEqual(await client.gone(), { code: 1001, reason: 'going away' });
  });
});

test('a half-open channel carries nothing, answers nothing, and is noticed when the client drops it', async () => {
  await bench.with({ rules: [{ action: 'half-open', count: 1 }] }, async () => {
    const session = await bench.open();
    session.agent.output('vanishes');
    await until('half-open', () =>
      bench.session(session.sessionId).trace.some((entry) => entry.event === 'fault.half-open'),
    );
    session.agent.output('vanishes too');
    session.client.input('into the void');
    session.client.webSocket.ping();
    // A second session's round trip shows that time has passed for the first one as well.
    const other = await bench.open();
    other.client.webSocket.ping();
    await until('the other one is answered', () => other.client.pongs === 1);
    assert.deepEqual([received(session.client), heard(session.agent), session.client.pongs], [[], [], 0]);
    assert.equal(session.client.closed, undefined);
    session.client.destroy();
    await until('noticed', () => bench.session(session.sessionId).status === 'Disconnected');
    const client = await bench.reopen(session);
    session.agent.output('back');
    await until('output', () => received(client).includes('back'));
  });
});

test('a blackhole swallows one direction or both, and pongs', async () => {
  const { client, agent, sessionId } = await bench.open();
  await bench.with({ link: { blackhole: 'to-client' } }, async () => {
    agent.output('lost');
    client.webSocket.ping();
    client.input('heard');
    await until('input', () => heard(agent).length === 1);
  });
  await bench.with({ link: { blackhole: 'both' } }, async () => {
    client.input('lost');
    await until('swallowed', () => bench.session(sessionId).relay.lostToAgent === 1);
  });
  agent.output('found');
  await until('output', () => received(client).length === 1);
  assert.deepEqual([received(client), heard(agent), client.pongs], [['found'], ['heard'], 0]);
});

test('faults can be aimed at the handshake, and at the service’s own messages', async () => {
  const { START_PUBLICATION, CHANNEL_CLOSED } = MESSAGE_TYPE;
  const rules = [
    { action: 'drop' as const, messageType: START_PUBLICATION },
    { action: 'drop' as const, messageType: CHANNEL_CLOSED },
    {
      action: 'drop' as const,
      phase: 'before-handshake' as const,
      direction: 'to-client' as const,
      count: 1,
    },
  ];
  await bench.with({ rules }, async () => {
    const { client, agent, sessionId } = await bench.open();
    agent.output('first');
    agent.output('second');
    agent.uplink.complete('Success', '');
    await until('the end', () => bench.session(sessionId).status === 'Terminated');
    await client.gone();
    assert.deepEqual(
      client.messages.map((message) => message.payload.toString()),
      ['second'],
    );
  });
});

test('random faults repeat with their seed', async () => {
  const run = async (seed: number): Promise<string[]> => {
    let got: string[] = [];
    await bench.with(
      { seed, rules: [{ action: 'drop', direction: 'to-client', probability: 0.5 }] },
      async () => {
        const { client, agent } = await bench.open();
        for (let i = 0; i < 40; i += 1) agent.output(String(i));
        bench.emulator.controls.changeFaults({ rules: [] });
        agent.output('end');
        await until('the end', () => received(client).includes('end'));
        got = received(client);
      },
    );
    return got;
  };
  const first = await run(1000);
  // Each session of a run draws from its own sequence: seed and number of the session together.
  const second = await run(999);
  assert.deepEqual(second, first);
  assert.ok(first.length > 5 && first.length < 36);
});

test('latency delays opening, messages and pongs, in order', async () => {
  await bench.with({ link: { latencyMs: 41 } }, async () => {
    clock.delays.length = 0;
    const { client, agent } = await bench.open();
    // Upgrade: a round trip. First message: one way.
    assert.deepEqual(clock.delays.filter((delay) => delay === 82 || delay === 41).slice(0, 2), [82, 41]);
    for (let i = 0; i < 50; i += 1) agent.output(String(i));
    client.webSocket.ping();
    await until('output', () => received(client).length === 50);
    await until('a pong', () => client.pongs === 1);
    assert.deepEqual(
      received(client),
      Array.from({ length: 50 }, (_, i) => String(i)),
    );
  });
});

test('a bandwidth cap holds in its direction', async () => {
  await bench.with({ link: { bytesPerSecondToClient: 200_000 } }, async () => {
    const { client, agent } = await bench.open();
    // 40 messages of 1000 bytes: the last one leaves after 0.2 s, and input is not held up.
    for (let i = 0; i < 40; i += 1) agent.output(Buffer.alloc(880));
    for (let i = 0; i < 40; i += 1) client.input(Buffer.alloc(880));
    await until('input', () => heard(agent).length === 40);
    const outputSoFar = received(client).length;
    await until('output', () => received(client).length === 40);
    assert.ok(outputSoFar < 40);
  });
});

test('messages in flight at a cut are lost', async () => {
  await bench.with({ link: { latencyMs: 30 } }, async () => {
    const session = await bench.open();
    session.agent.output('in flight');
    bench.emulator.controls.cutSession(session.sessionId);
    await session.client.gone();
    const client = await bench.reopen(session);
    session.agent.output('later');
    await until('output', () => received(client).length > 0);
    assert.deepEqual(received(client), ['later']);
  });
});

test('messages to the client can come as WebSocket fragments', async () => {
  await bench.with({ link: { fragmentBytes: 100 } }, async () => {
    const { client, agent } = await bench.open();
    const data = agent.output(Buffer.alloc(70_000, 3));
    await until('output', () => client.ofType(OUTPUT_STREAM_DATA).length === 1);
    assert.ok(client.raw.some((raw) => raw.equals(data)));
  });
});

test('messages above the limit close the channel with 1009', async () => {
  await bench.with({ link: { maxMessageBytes: 4096 } }, async () => {
    const { client } = await bench.open();
    client.input(Buffer.alloc(5000));
    assert.equal((await client.gone()).code, 1009);
  });
});

test('the socket can be cut, and the agent dropped, by the clock', async () => {
  await bench.with({ link: { cutEveryMs: 60 } }, async () => {
    const session = await bench.open();
    assert.equal((await session.client.gone()).code, 1006);
    const client = await bench.reopen(session);
    assert.equal((await client.gone()).code, 1006);
  });
  await bench.with({ agent: { dropEveryMs: 40, reconnectMs: 10 } }, async () => {
    const { agent } = await bench.open();
    await until('dropped twice and back', () => agent.events.length >= 4);
    assert.deepEqual(agent.events.slice(0, 4), ['down', 'up', 'down', 'up']);
  });
});

test('everything can be cut or closed at once', async () => {
  const first = await bench.open();
  const second = await bench.open();
  bench.emulator.controls.dropAllClients();
  assert.equal((await first.client.gone()).code, 1006);
  assert.equal((await second.client.gone()).code, 1006);
  const third = await bench.open();
  bench.emulator.controls.dropAllClients(1012, 'service restart');
  assert.deepEqual(await third.client.gone(), { code: 1012, reason: 'service restart' });
});
