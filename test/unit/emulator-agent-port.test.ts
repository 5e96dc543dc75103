/** Port sessions of the emulated agent with one connection: protocol.md 4.5, 4.8, 6.4 to 6.6 and 12. */
import assert from 'node:assert/strict';
import * as crypto from 'node:crypto';
import type * as net from 'node:net';
import { describe, test } from 'node:test';
import { parsePortProperties } from '../../src/emulator/agent-port.ts';
import { PAYLOAD_TYPE } from '../../src/protocol/message.ts';
import { FLAG } from '../../src/protocol/payloads.ts';
import type { ScriptedClientOptions } from '../support/scripted-client.ts';
import { ScriptedClient } from '../support/scripted-client.ts';
import { closedPort, TestServer } from '../support/tcp-server.ts';
import { until } from '../support/until.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const { OUTPUT } = PAYLOAD_TYPE;
const FORWARDING = {
  agentVersion: '3.0.196.0',
  properties: { portNumber: '80', localPortNumber: '0', type: 'LocalPortForwarding' },
};

async function connect(
  t: { after(fn: () => void): void },
  options: ScriptedClientOptions & { onConnection?: (socket: net.Socket) => void } = {},
): Promise<{ client: ScriptedClient; server: TestServer }> {
  const server = await TestServer.start(options.onConnection);
  const client = new ScriptedClient({ dial: server.address, ...options });
  t.after(() => {
    client.session.kill();
    server.close();
  });
  await until('the connection', () => server.connections.length === 1 && client.traces.includes('dialled'));
  return { client, server };
}

describe('plain (SSH) sessions, 6.5', () => {
  test('the agent dials at once after the handshake and sends what the server says', async (t) => {
    const { client } = await connect(t, { onConnection: (socket) => socket.write('SSH-2.0-x\r\n') });
    await until('the banner', () => client.output.toString() === 'SSH-2.0-x\r\n');
  });

  test('4.5: what it reads is cut into messages of at most 1024 bytes, in order', async (t) => {
    const bytes = crypto.randomBytes(50_000);
    const { client } = await connect(t, { onConnection: (socket) => socket.write(bytes) });
    await until('all bytes', () => client.output.length === bytes.length);
    assert.equal(client.output.equals(bytes), true);
    const lengths = client.stream.filter((m) => m.payloadType === OUTPUT).map((m) => m.payload.length);
    assert.equal(Math.max(...lengths), 1024);
  });

  test('4.5: one message, then the pace, then the next', async (t) => {
    const clock = new VirtualClock();
    const { client } = await connect(t, {
      clock,
      behaviour: { paceMs: 7, payloadBytes: 100 },
      onConnection: (socket) => socket.write(Buffer.alloc(1000)),
    });
    await until('the first message', () => client.output.length === 100);
    clock.advance(6);
    assert.equal(client.output.length, 100);
    clock.advance(1);
    assert.equal(client.output.length, 200);
    clock.advance(14);
    assert.equal(client.output.length, 400);
  });

  test('without a pace it stops at its window of unacknowledged bytes and goes on with the acknowledgements', async (t) => {
    const total = 12 * 1024 * 1024;
    const { client, server } = await connect(t, { behaviour: { paceMs: 0 } });
    client.acknowledges = false;
    server.connections[0]?.write(Buffer.alloc(total, 1));
    await until('the window', () => client.session.stats().sentBytes > 3 * 1024 * 1024);
    let last = -1;
    await until('no progress', () => {
      const { sentBytes } = client.session.stats();
      const isStill = sentBytes === last;
      last = sentBytes;
      return isStill;
    });
    assert.equal(last < 6 * 1024 * 1024, true);
    client.acknowledges = true;
    for (const message of client.stream) client.acknowledge(message);
    await until('the rest', () => client.session.stats().sentBytes === total);
  });

  test('bytes from the client reach the server unchanged, a single line feed too', async (t) => {
    const { client, server } = await connect(t);
    const bytes = Buffer.concat([Buffer.from('\n'), crypto.randomBytes(5000)]);
    client.send(OUTPUT, bytes.subarray(0, 1));
    client.send(OUTPUT, bytes.subarray(1));
    await until('all bytes', () => server.received[0]?.length === bytes.length);
    assert.equal(server.received[0]?.equals(bytes), true);
    assert.equal(client.session.stats().receivedBytes, bytes.length);
  });

  test("the server's end: what it sent is delivered, then the task ends with Success", async (t) => {
    const { client } = await connect(t, { onConnection: (socket) => socket.end('good bye') });
    assert.deepEqual(await client.ended(), { status: 'Success', output: '' });
    assert.equal(client.output.toString(), 'good bye');
  });

  test("8.3: after the server's end unacknowledged messages get 2 s", async (t) => {
    const clock = new VirtualClock();
    const { client, server } = await connect(t, { clock });
    client.acknowledges = false;
    server.connections[0]?.end('good bye');
    await until('the end', () => {
      clock.advance(1);
      return client.traces.includes('finishing');
    });
    clock.advance(1900);
    assert.equal(client.hasEnded, false);
    clock.advance(200);
    assert.deepEqual(client.result, { status: 'Success', output: '' });
    assert.equal(clock.pendingTimers, 0);
  });

  test('a reset by the server fails the task, without a text', async (t) => {
    const { client, server } = await connect(t);
    server.connections[0]?.resetAndDestroy();
    assert.deepEqual(await client.ended(), { status: 'Failed', output: '' });
  });

  test('the TerminateSession flag closes the connection, is acknowledged and ends the task with Success', async (t) => {
    const { client, server } = await connect(t);
    client.send(OUTPUT, 'last words');
    client.sendFlag(FLAG.TERMINATE_SESSION);
    assert.deepEqual(await client.ended(), { status: 'Success', output: '' });
    assert.deepEqual(client.acknowledged, [0, 1, 2]);
    await until('the end of the connection', () => server.connections[0]?.readableEnded);
    assert.equal(server.received[0]?.toString(), 'last words');
  });

  test('the DisconnectToPort flag fails the session', async (t) => {
    const { client } = await connect(t);
    client.sendFlag(FLAG.DISCONNECT_TO_PORT);
    assert.deepEqual(await client.ended(), { status: 'Failed', output: '' });
  });

  test('4.8: a server that stops reading stops acknowledgements and flags; reading resumes both', async (t) => {
    const { client, server } = await connect(t);
    const [socket] = server.connections;
    socket?.pause();
    const block = Buffer.alloc(256 * 1024, 7);
    let sent = 0;
    await until('the blocked reader', () => {
      for (let i = 0; i < 8 && sent < 400; i += 1, sent += 1) client.send(OUTPUT, block);
      return client.acknowledged.length < sent;
    });
    const acknowledged = client.acknowledged.length;
    client.sendFlag(FLAG.TERMINATE_SESSION);
    assert.equal(client.acknowledged.length, acknowledged);
    assert.equal(client.hasEnded, false);
    socket?.resume();
    assert.equal((await client.ended()).status, 'Success');
    await until('all bytes', () => server.receivedBytes(0) === sent * block.length);
  });

  test('12: a client that is gone changes nothing: the connection stays and is read on', async (t) => {
    const clock = new VirtualClock();
    const { client, server } = await connect(t, { clock });
    client.acknowledges = false;
    server.connections[0]?.write(Buffer.alloc(10_000));
    await until('all bytes', () => {
      clock.advance(500);
      return client.session.stats().sentBytes === 10_000;
    });
    clock.advance(600_000);
    assert.equal(client.hasEnded, false);
    assert.equal(server.connections[0]?.readyState, 'open');
  });

  test('kill cuts the connection and leaves nothing', async (t) => {
    const clock = new VirtualClock();
    const { client, server } = await connect(t, { clock });
    client.session.kill();
    await until('the end of the connection', () => server.connections[0]?.readableEnded);
    assert.equal(clock.pendingTimers, 0);
    assert.equal(client.hasEnded, false);
  });
});

describe('a port that cannot be reached', () => {
  test('12: the handshake completes, then silence, and the failure is reported 60 s later', async (t) => {
    const clock = new VirtualClock();
    const client = new ScriptedClient({ clock, dial: await closedPort() });
    t.after(() => client.session.kill());
    await until('the crash', () => client.traces.includes('worker-crashed'));
    assert.equal(client.hasType(PAYLOAD_TYPE.HANDSHAKE_COMPLETE), true);
    const before = client.received.length;
    client.send(OUTPUT, 'anyone?');
    clock.advance(59_999);
    assert.equal(client.received.length, before);
    assert.equal(client.hasEnded, false);
    clock.advance(1);
    assert.deepEqual(client.result, {
      status: 'Failed',
      output: 'Unable to connect to specified port: dial tcp 127.0.0.1:22: connect: connection refused',
    });
    assert.equal(clock.pendingTimers, 0);
  });

  test('a session closed by the service meanwhile is reported at once', async (t) => {
    const clock = new VirtualClock();
    const client = new ScriptedClient({ clock, dial: await closedPort() });
    t.after(() => client.session.kill());
    await until('the crash', () => client.traces.includes('worker-crashed'));
    client.closeByService();
    assert.equal(client.result?.status, 'Failed');
    assert.equal(clock.pendingTimers, 0);
  });

  test('a name that has no address is reported the same way', async (t) => {
    const client = new ScriptedClient({
      behaviour: { portFailureMs: 1 },
      dial: () => {
        throw new Error('missing address');
      },
    });
    t.after(() => client.session.kill());
    assert.deepEqual(await client.ended(), {
      status: 'Failed',
      output: 'Unable to connect to specified port: missing address',
    });
  });

  test('6.4: the text for a missing port, reported at once', async () => {
    const client = new ScriptedClient({ request: { properties: { type: 'x', localPortNumber: '0' } } });
    assert.deepEqual(await client.ended(), {
      status: 'Failed',
      output: 'Port number is empty in session properties. map[localPortNumber:0 type:x]',
    });
  });

  for (const host of [
    '169.254.169.254',
    'fd00:ec2::254',
    'fd00:0ec2:0::254',
    '169.254.169.253',
    '169.254.169.250',
  ]) {
    test(`6.4: forwarding to ${host} is forbidden`, () => {
      assert.deepEqual(parsePortProperties({ portNumber: '80', host }), {
        error: `Forwarding to IP address ${host} is forbidden.`,
      });
    });
  }

  test('6.4: other hosts are dialled as given', () => {
    assert.deepEqual(parsePortProperties({ portNumber: '5432', host: 'db.internal' }), {
      target: { host: 'db.internal', port: 5432 },
    });
  });
});

describe('basic forwarding, 6.6', () => {
  test('an old agent forwards without mux, a new agent with an old client too', async (t) => {
    for (const options of [
      { request: FORWARDING },
      { request: { ...FORWARDING, agentVersion: '3.3.987.0' }, clientVersion: '1.1.69' },
    ]) {
      const { client, server } = await connect(t, options);
      client.send(OUTPUT, 'raw');
      await until('the bytes', () => server.received[0]?.toString() === 'raw');
    }
  });

  test('DisconnectToPort closes the connection; the next Output dials again', async (t) => {
    const { client, server } = await connect(t, { request: FORWARDING });
    await client.sendReliably(OUTPUT, 'one');
    client.sendFlag(FLAG.DISCONNECT_TO_PORT);
    await until('the end of the first', () => server.connections[0]?.readableEnded);
    await client.sendReliably(OUTPUT, 'two');
    await until('the second', () => server.received[1]?.toString() === 'two');
    assert.equal(server.received[0]?.toString(), 'one');
    assert.equal(client.hasEnded, false);
  });

  test("the server's end is not told; the next Output dials again and its answer arrives", async (t) => {
    const { client, server } = await connect(t, { request: FORWARDING });
    server.connections[0]?.end('bye');
    await until('the end', () => client.traces.includes('server-ended'));
    assert.equal(client.output.toString(), 'bye');
    assert.equal(client.hasEnded, false);
    await client.sendReliably(OUTPUT, 'again');
    server.connections[1]?.write('hello');
    await until('the answer', () => client.output.toString() === 'byehello');
  });

  test('a server that is gone: the Output is not acknowledged and the session fails later', async (t) => {
    const { client, server } = await connect(t, { request: FORWARDING, behaviour: { portFailureMs: 1 } });
    server.close();
    await until('the end', () => client.traces.includes('server-ended'));
    client.send(OUTPUT, 'again');
    const result = await client.ended();
    assert.equal(result.status, 'Failed');
    assert.match(
      result.output,
      /^Unable to connect to specified port: dial tcp 127\.0\.0\.1:80: connect: connection refused$/,
    );
    assert.deepEqual(client.acknowledged, [0]);
  });

  test('TerminateSession ends it', async (t) => {
    const { client } = await connect(t, { request: FORWARDING });
    client.sendFlag(FLAG.TERMINATE_SESSION);
    assert.deepEqual(await client.ended(), { status: 'Success', output: '' });
  });
});
