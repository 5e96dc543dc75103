/** The message gateway between a bare client and a scripted agent: opening, relaying, absence, the end. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TerminateSessionCommand } from '@aws-sdk/client-ssm';
import { MESSAGE_TYPE, PAYLOAD_TYPE } from '../../src/protocol/message.ts';
import { parseChannelClosed } from '../../src/protocol/payloads.ts';

import { until } from '../support/until.ts';
import { ServiceBench } from '../support/service-bench.ts';

const { START_PUBLICATION, PAUSE_PUBLICATION, CHANNEL_CLOSED, INPUT_STREAM_DATA, OUTPUT_STREAM_DATA } =
  MESSAGE_TYPE;

let bench: ServiceBench;

before(async () => {
  bench = await ServiceBench.create();
});
after(() => bench.close());

test('messages pass unchanged, byte for byte and in order, both ways', async () => {
  const { client, agent } = await bench.open();
  const sent = Array.from({ length: 200 }, (_, i) => agent.output(Buffer.alloc(1 + i * 7, i)));
  await until('all output', () => client.ofType(OUTPUT_STREAM_DATA).length === sent.length);
  const received = client.raw.filter((_, i) => client.messages[i]?.messageType === OUTPUT_STREAM_DATA);
  assert.deepEqual(received, sent);
  const big = Buffer.alloc(200_000, 0x0a);
  client.input('\n');
  client.input(big);
  await until('all input', () => agent.messages.length === 2);
  assert.deepEqual(
    agent.messages.map((message) => message.payload),
    [Buffer.from('\n'), big],
  );
});

test('the agent gets what the document makes of the parameters', async () => {
  const { agent, sessionId } = await bench.open();
  assert.deepEqual(agent.request, {
    sessionId,
    instanceId: bench.instanceId,
    agentVersion: '3.3.987.0',
    sessionType: 'Port',
    properties: { portNumber: '22' },
    command: undefined,
    separateOutputStream: false,
    kmsKeyId: undefined,
  });
});

test('the first message of a channel is start_publication, unless switched off', async () => {
  const first = await bench.open();
  await until('a first message', () => first.client.messages.length > 0);
  assert.equal(first.client.messages[0]?.messageType, START_PUBLICATION);
  await bench.with({ open: { startPublicationFirst: false } }, async () => {
    const second = await bench.open();
    second.agent.output('x');
    await until('a first message', () => second.client.messages.length > 0);
    assert.equal(second.client.messages[0]?.messageType, OUTPUT_STREAM_DATA);
  });
});

test('agent_session_state is for the service and not relayed', async () => {
  const { client, agent } = await bench.open();
  const state = agent.output('{}');
  state.write(MESSAGE_TYPE.AGENT_SESSION_STATE.padEnd(32), 4, 'latin1');
  agent.uplink.send(state);
  agent.output('after');
  await until('the message after it', () => client.ofType(OUTPUT_STREAM_DATA).length === 2);
  assert.equal(
    client.messages.some((message) => message.messageType === MESSAGE_TYPE.AGENT_SESSION_STATE),
    false,
  );
});

test('pings are answered, and not when told so', async () => {
  const { client } = await bench.open();
  client.webSocket.ping();
  await until('a pong', () => client.pongs === 1);
  await bench.with({ link: { answerPings: false } }, async () => {
    client.webSocket.ping();
    client.input('after the ping');
    await until('a later message arrived', () => bench.agents.at(-1)?.messages.length === 1);
    assert.equal(client.pongs, 1);
  });
});

// ---- opening -----------------------------------------------------------------------------------------------

test('a token opens one channel; a second use, a wrong one and none are refused by closing', async () => {
  const { client: first, ...ticket } = await bench.open();
  for (const tokenValue of [ticket.tokenValue, 'made up', '']) {
    const refused = bench.connect({ ...ticket, tokenValue });
    assert.deepEqual(await refused.gone(), { code: 1008, reason: 'Refused' });
  }
  assert.equal(first.closed, undefined);
  assert.deepEqual(
    bench.emulator.controls
      .state()
      .opens.filter((open) => open.sessionId === ticket.sessionId)
      .map((open) => open.outcome),
    ['bound', 'token used', 'token unknown', 'token unknown'],
  );
});

test('a token may be used again when told so, and expires in service time', async () => {
  await bench.with(
    { open: { tokenSingleUse: false, tokenLifetimeMs: 60_000, badTokenCloseCode: 4001 } },
    async () => {
      const session = await bench.open();
      const again = bench.connect(session);
      await until('the first channel is replaced', () => session.client.closed);
      await again.open();
      const late = await bench.start();
      bench.emulator.controls.setClock({ speed: 100_000 });
      await until('a minute has passed', () => bench.emulator.controls.state().clock.speed === 100_000);
      const clock = performance.now();
      await until('a compressed minute has passed', () => performance.now() - clock > 2);
      const refused = bench.connect(late);
      assert.equal((await refused.gone()).code, 4001);
      bench.emulator.controls.setClock({ speed: 1 });
    },
  );
});

test('the open is recorded with its raw URL, IDs and no token', async () => {
  const { sessionId, streamUrl, tokenValue, client } = await bench.open();
  const open = bench.emulator.controls.state().opens.find((each) => each.sessionId === sessionId);
  assert.equal(open?.requestUrl, streamUrl.slice(streamUrl.indexOf('/v1/')));
  assert.equal(open?.clientId, client.clientId);
  assert.equal(open?.clientVersion, '1.2.835.0');
  assert.equal(open?.signature, 'none');
  assert.equal(JSON.stringify(bench.emulator.controls.state()).includes(tokenValue), false);
});

test('an unsigned open is refused with 403 when signatures are required', async () => {
  await bench.with({ open: { requireSignature: true } }, async () => {
    const client = bench.connect(await bench.start());
    await client.gone();
    assert.equal(client.refusedStatus, 403);
  });
});

test('a wrong signature is refused with 403 even when none is required', async () => {
  const client = bench.connect(await bench.start(), {
    headers: {
      'x-amz-date': '20150830T123600Z',
      authorization:
        'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/ssmmessages/aws4_request, SignedHeaders=host, Signature=00',
    },
  });
  await client.gone();
  assert.equal(client.refusedStatus, 403);
});

test('a presigned stream URL opens without headers, and not when altered', async () => {
  await bench.with({ open: { presignedUrl: true, requireSignature: true } }, async () => {
    const ticket = await bench.start();
    assert.match(ticket.streamUrl, /&X-Amz-Signature=[0-9a-f]{64}/);
    const altered = bench.connect({ ...ticket, streamUrl: ticket.streamUrl.replace('publish_', 'publish') });
    await altered.gone();
    assert.equal(altered.refusedStatus, 403);
    const client = bench.connect(ticket);
    await until('bound', () => bench.session(ticket.sessionId).hasClient);
    assert.equal(client.refusedStatus, undefined);
  });
});

test('opens take the outcomes of the list one after the other, then are normal', async () => {
  const outcomes = [
    { kind: 'status' as const, status: 503 },
    { kind: 'reset' as const },
    { kind: 'bad-token' as const },
    { kind: 'hang' as const },
    { kind: 'ignore' as const },
  ];
  await bench.with({ open: { outcomes } }, async () => {
    const ticket = await bench.start();
    const refused = bench.connect(ticket);
    await refused.gone();
    assert.equal(refused.refusedStatus, 503);
    const reset = bench.connect(ticket);
    await reset.gone();
    assert.match(String(reset.error), /ECONNRESET|hang up/);
    const doomed = bench.connect(ticket);
    assert.equal((await doomed.gone()).code, 1008);
    const hanging = bench.connect(ticket);
    const outcome = (): string | undefined => bench.emulator.controls.state().opens.at(-1)?.outcome;
    await until('the upgrade is left unanswered', () => outcome() === 'unanswered');
    assert.equal(hanging.webSocket.readyState, hanging.webSocket.CONNECTING);
    hanging.destroy();
    const ignored = bench.connect(ticket);
    await ignored.open();
    assert.equal(outcome(), 'ignored');
    ignored.destroy();
    const normal = bench.connect(ticket);
    await until('bound', () => bench.session(ticket.sessionId).hasClient);
    assert.equal(normal.closed, undefined);
  });
});

// ---- absence -----------------------------------------------------------------------------------------------

test('what the agent sends to an absent client is lost, it is paused, and started on the client’s return', async () => {
  const session = await bench.open();
  session.client.destroy();
  await until('the agent is paused', () => session.agent.ofType(PAUSE_PUBLICATION)[0]);
  assert.equal(bench.session(session.sessionId).status, 'Disconnected');
  session.agent.output('lost');
  const client = await bench.reopen(session);
  await until('the agent is started', () => session.agent.ofType(START_PUBLICATION)[0]);
  session.agent.output('arrives');
  await until('output', () => client.ofType(OUTPUT_STREAM_DATA).length > 0);
  assert.deepEqual(
    client.ofType(OUTPUT_STREAM_DATA).map((message) => message.payload.toString()),
    ['arrives'],
  );
});

test('the other way round: frames are kept, and the agent hears nothing', async () => {
  const absent = { clientFrames: 'keep' as const, pauseAgent: false, startAgent: false };
  await bench.with({ absent }, async () => {
    const session = await bench.open();
    session.client.destroy();
    await until('disconnected', () => bench.session(session.sessionId).status === 'Disconnected');
    session.agent.output('kept');
    const client = await bench.reopen(session);
    session.agent.output('live');
    await until('both', () => client.ofType(OUTPUT_STREAM_DATA).length === 2);
    assert.deepEqual(
      client.ofType(OUTPUT_STREAM_DATA).map((message) => message.payload.toString()),
      ['kept', 'live'],
    );
    assert.deepEqual(session.agent.messages, []);
  });
});

test('frames from before the first channel are kept when told so', async () => {
  await bench.with({ absent: { firstFrames: 'keep' } }, async () => {
    const ticket = await bench.start();
    const agent = await bench.agentOf(ticket.sessionId);
    agent.output('early');
    const client = bench.connect(ticket);
    await until('output', () => client.output.toString() === 'early');
  });
});

test('an absent agent makes a pause_publication of every data message, and is back after its time', async () => {
  await bench.with({ agent: { reconnectMs: 50 } }, async () => {
    const session = await bench.open();
    bench.emulator.controls.dropAgent(session.sessionId);
    session.client.input('into the void');
    await until('the client is paused', () => session.client.ofType(PAUSE_PUBLICATION)[0]);
    await until('the agent is back', () => session.agent.events.includes('up'));
    session.client.input('heard');
    await until('input', () => session.agent.ofType(INPUT_STREAM_DATA)[0]);
    assert.deepEqual(session.agent.events, ['down', 'up']);
    assert.equal(session.agent.ofType(INPUT_STREAM_DATA)[0]?.payload.toString(), 'heard');
  });
});

test('a newer channel of the session replaces the older one', async () => {
  const session = await bench.open();
  const newer = await bench.reopen(session);
  assert.deepEqual(await session.client.gone(), { code: 1000, reason: 'Bye' });
  session.agent.output('x');
  await until('output on the newer one', () => newer.ofType(OUTPUT_STREAM_DATA).length === 1);
  assert.equal(bench.session(session.sessionId).status, 'Connected');
});

test('a stale stream URL connects but carries nothing when told so', async () => {
  await bench.with({ resume: { streamUrl: 'other', oldUrl: 'silent' } }, async () => {
    const session = await bench.open();
    session.client.destroy();
    const resumed = await bench.resume(session.sessionId);
    assert.notEqual(resumed.streamUrl, session.streamUrl);
    const stale = bench.connect({ ...resumed, streamUrl: session.streamUrl });
    await until('bound', () => bench.session(session.sessionId).hasClient);
    stale.input('lost');
    await until('counted as lost', () => bench.session(session.sessionId).relay.lostToAgent > 0);
    const fresh = bench.connect(await bench.resume(session.sessionId));
    await until('replaced', () => stale.closed);
    fresh.input('heard');
    await until('input', () => session.agent.ofType(INPUT_STREAM_DATA)[0]?.payload.toString() === 'heard');
  });
});

// ---- the end -----------------------------------------------------------------------------------------------

test('a finished task ends the session with its output, and the channel soon after', async () => {
  const { client, agent, sessionId } = await bench.open();
  agent.output('last words');
  agent.uplink.complete('Failed', 'Unable to connect to specified port: refused');
  const closed = await until('channel_closed', () => client.ofType(CHANNEL_CLOSED)[0]);
  assert.deepEqual(parseChannelClosed(closed.payload), {
    sessionId,
    output: 'Unable to connect to specified port: refused',
  });
  assert.equal(client.messages.at(-2)?.payload.toString(), 'last words');
  assert.equal(bench.session(sessionId).status, 'Failed');
  assert.equal((await client.gone()).code, 1000);
});

test('TerminateSession tells the agent, and then the client', async () => {
  const { client, agent, sessionId } = await bench.open();
  await bench.sdk.ssm.send(new TerminateSessionCommand({ SessionId: sessionId }));
  assert.equal(agent.ofType(CHANNEL_CLOSED).length, 1);
  await until('channel_closed', () => client.ofType(CHANNEL_CLOSED)[0]);
  assert.equal(bench.session(sessionId).status, 'Terminated');
  const late = bench.connect({
    sessionId,
    streamUrl: bench.emulator.endpoint.replace('http', 'ws') + '/v1/data-channel/' + sessionId,
    tokenValue: 'x',
  });
  assert.equal((await late.gone()).code, 1008);
});

test('an instance that is terminated takes its agents along, and tells nobody', async () => {
  const instance = await bench.emulator.controls.addInstance({ privateIp: '10.0.1.77', dial: {} });
  const ticket = await bench.start(instance.instanceId);
  const agent = await bench.agentOf(ticket.sessionId);
  const client = bench.connect(ticket);
  await until('bound', () => bench.session(ticket.sessionId).hasClient);
  bench.emulator.controls.changeInstance(instance.instanceId, { state: 'shutting-down' });
  assert.deepEqual(agent.events, ['killed']);
  client.input('anyone?');
  await until('the client is paused', () => client.ofType(PAUSE_PUBLICATION)[0]);
  assert.equal(client.ofType(CHANNEL_CLOSED).length, 0);
});

test('the hourly close comes to both sides, in service time', async () => {
  await bench.with({ lifetimes: { idleMs: 0 } }, async () => {
    const { client, agent, sessionId } = await bench.open();
    bench.emulator.controls.setClock({ speed: 36_000 });
    assert.deepEqual(await client.gone(), { code: 1000, reason: 'Bye' });
    await until('the agent’s channel too', () => agent.events.includes('down'));
    assert.equal(bench.session(sessionId).status, 'Disconnected');
  });
});

test('twenty idle minutes end a session, in service time', async () => {
  await bench.with({}, async () => {
    const { client, sessionId } = await bench.open();
    bench.emulator.controls.setClock({ speed: 36_000 });
    await until('channel_closed', () => client.ofType(CHANNEL_CLOSED)[0]);
    assert.equal(bench.session(sessionId).status, 'Terminated');
  });
});

test('the maximum duration ends a session with its text', async () => {
  await bench.with({ lifetimes: { sessionMs: 2000, sessionOutput: 'too long' } }, async () => {
    const { client } = await bench.open();
    const closed = await until('channel_closed', () => client.ofType(CHANNEL_CLOSED)[0]);
    assert.equal(parseChannelClosed(closed.payload).output, 'too long');
  });
});

test('stream messages keep a session from being idle, acknowledgements do not', async () => {
  await bench.with({ lifetimes: { idleMs: 1500, idleOutput: 'idle' } }, async () => {
    const { client, agent, sessionId } = await bench.open();
    const start = performance.now();
    await until('busy for longer than the timeout', () => {
      agent.output('tick');
      return performance.now() - start > 2000;
    });
    assert.equal(bench.session(sessionId).status, 'Connected');
    const closed = await until('channel_closed', () => client.ofType(CHANNEL_CLOSED)[0]);
    assert.equal(parseChannelClosed(closed.payload).output, 'idle');
  });
});

test('a client above the message rate is paused, and started when it is slower', async () => {
  const rateLimit = { messagesPerSecond: 10, windowMs: 5000 };
  await bench.with({ rateLimit }, async () => {
    const { client, agent } = await bench.open();
    for (let i = 0; i < 60; i += 1) client.input('x');
    const paused = await until('pause', () => client.ofType(PAUSE_PUBLICATION)[0]);
    assert.equal(paused.payload.length, 0);
    await until('start', () => client.ofType(START_PUBLICATION).length === 2);
    await until('nothing was lost', () => agent.ofType(INPUT_STREAM_DATA).length === 60);
  });
});

test('a client above the message rate can lose its session', async () => {
  const rateLimit = { messagesPerSecond: 10, windowMs: 5000, closeAfterMs: 10 };
  await bench.with({ rateLimit }, async () => {
    const { client } = await bench.open();
    for (let i = 0; i < 60; i += 1) client.input('x');
    await until('channel_closed', () => client.ofType(CHANNEL_CLOSED)[0]);
  });
});

test('a client that does not read makes the service hold the agent back, with bounded memory', async () => {
  const { client, agent } = await bench.open();
  client.webSocket.pause();
  const chunk = Buffer.alloc(64 * 1024);
  let sent = 0;
  await until('the agent is paused', () => {
    for (let i = 0; i < 16; i += 1) agent.output(chunk);
    sent += 16;
    return agent.ofType(PAUSE_PUBLICATION)[0];
  });
  client.webSocket.resume();
  await until('the agent is started again', () => agent.ofType(START_PUBLICATION)[0]);
  await until('everything arrived', () => client.ofType(OUTPUT_STREAM_DATA).length === sent);
});

test('the notices can have the other form', async () => {
  await bench.with({ notices: { shortHeader: false, nulPadding: false } }, async () => {
    const { client, agent } = await bench.open();
    agent.uplink.complete('Success', '');
    const closed = await until('channel_closed', () => client.ofType(CHANNEL_CLOSED)[0]);
    assert.equal(closed.payloadType, PAYLOAD_TYPE.NONE);
  });
});
