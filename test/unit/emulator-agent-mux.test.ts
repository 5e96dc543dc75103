/** Multiplexed port sessions of the emulated agent: protocol.md 6.7. Frames are written by hand, in hex or by table. */
import assert from 'node:assert/strict';
import * as crypto from 'node:crypto';
import type * as net from 'node:net';
import { describe, test } from 'node:test';
import { hasKeepalive } from '../../src/emulator/agent-mux.ts';
import type { Frame } from '../../src/mux/frame.ts';
import { encodeFrame, FRAME_COMMAND, FrameDecoder } from '../../src/mux/frame.ts';
import { PAYLOAD_TYPE } from '../../src/protocol/message.ts';
import { FLAG } from '../../src/protocol/payloads.ts';
import type { ScriptedClientOptions } from '../support/scripted-client.ts';
import { ScriptedClient } from '../support/scripted-client.ts';
import { closedPort, TestServer } from '../support/tcp-server.ts';
import { until } from '../support/until.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const { OUTPUT } = PAYLOAD_TYPE;
const { SYN, FIN, PSH, NOP } = FRAME_COMMAND;
const REQUEST = { properties: { portNumber: '80', localPortNumber: '0', type: 'LocalPortForwarding' } };

async function start(
  t: { after(fn: () => void): void },
  options: ScriptedClientOptions & { onConnection?: (socket: net.Socket) => void } = {},
): Promise<{ client: ScriptedClient; server: TestServer }> {
  const server = await TestServer.start(options.onConnection);
  const client = new ScriptedClient({ dial: server.address, request: REQUEST, ...options });
  t.after(() => {
    client.session.kill();
    server.close();
  });
  await client.handshake();
  return { client, server };
}

function framesOf(client: ScriptedClient): Frame[] {
  const decoder = new FrameDecoder();
  decoder.push(client.output);
  const frames: Frame[] = [];
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push(frame);
  return frames;
}

function dataOf(client: ScriptedClient, streamId: number): string {
  return Buffer.concat(
    framesOf(client)
      .filter((frame) => frame.streamId === streamId)
      .map((frame) => frame.data),
  ).toString();
}

const hasFin = (client: ScriptedClient, streamId: number): boolean =>
  framesOf(client).some((frame) => frame.command === FIN && frame.streamId === streamId);

/** Frames of one client stream in one message. */
function frames(...list: readonly Buffer[]): Buffer {
  return Buffer.concat(list);
}

describe('streams', () => {
  test('a SYN dials, PSH reaches the server, its answer comes back as PSH of the stream', async (t) => {
    const { client, server } = await start(t);
    client.send(OUTPUT, Buffer.from('0100000003000000' + '0102020003000000' + '6869', 'hex'));
    await until('the bytes', () => server.received[0]?.toString() === 'hi');
    server.connections[0]?.write('ho');
    await until('the answer', () => client.output.length > 0);
    assert.equal(client.output.toString('hex'), '0102020003000000686f');
  });

  test('frames cut at any byte across messages are put together', async (t) => {
    const { client, server } = await start(t);
    const bytes = frames(
      encodeFrame(SYN, 3),
      encodeFrame(PSH, 3, Buffer.from('one')),
      encodeFrame(PSH, 3, Buffer.from('two')),
    );
    for (const byte of bytes) client.send(OUTPUT, Buffer.from([byte]));
    await until('the bytes', () => server.received[0]?.toString() === 'onetwo');
  });

  test('two streams are two connections, interleaved', async (t) => {
    const { client, server } = await start(t, { onConnection: (socket) => socket.pipe(socket) });
    client.send(
      OUTPUT,
      frames(
        encodeFrame(SYN, 3),
        encodeFrame(SYN, 5),
        encodeFrame(PSH, 5, Buffer.from('five')),
        encodeFrame(PSH, 3, Buffer.from('three')),
      ),
    );
    await until('both echoes', () => dataOf(client, 3) === 'three' && dataOf(client, 5) === 'five');
    assert.equal(server.connections.length, 2);
  });

  test('a large answer is cut into frames of at most 32768 bytes and messages of at most 1024, one frame as many', async (t) => {
    const bytes = crypto.randomBytes(100_000);
    const { client } = await start(t, {
      onConnection: (socket) => socket.write(bytes),
      behaviour: { paceMs: 0 },
    });
    client.send(OUTPUT, encodeFrame(SYN, 3));
    await until(
      'all bytes',
      () => framesOf(client).reduce((sum, frame) => sum + frame.data.length, 0) === bytes.length,
    );
    const data = Buffer.concat(framesOf(client).map((frame) => frame.data));
    assert.equal(data.equals(bytes), true);
    assert.equal(Math.max(...framesOf(client).map((frame) => frame.data.length)) <= 32_768, true);
    const payloads = client.stream.filter((m) => m.payloadType === OUTPUT).map((m) => m.payload.length);
    assert.equal(Math.max(...payloads), 1024);
  });

  test("the client's FIN: its data is written, the server closed in both directions and answered with FIN", async (t) => {
    const { client, server } = await start(t);
    client.send(
      OUTPUT,
      frames(encodeFrame(SYN, 3), encodeFrame(PSH, 3, Buffer.from('last')), encodeFrame(FIN, 3)),
    );
    await until('the FIN', () => hasFin(client, 3));
    await until('the end of the connection', () => server.connections[0]?.readableEnded);
    assert.equal(server.received[0]?.toString(), 'last');
    assert.equal(framesOf(client).length, 1);
  });

  test("the server's end: its data, then FIN; what the client sends later is thrown away", async (t) => {
    const { client, server } = await start(t, { onConnection: (socket) => socket.end('bye') });
    client.send(OUTPUT, encodeFrame(SYN, 3));
    await until('the FIN', () => hasFin(client, 3));
    assert.equal(dataOf(client, 3), 'bye');
    client.send(OUTPUT, frames(encodeFrame(PSH, 3, Buffer.from('late')), encodeFrame(FIN, 3)));
    client.send(OUTPUT, encodeFrame(SYN, 5));
    await until('the next stream', () => server.connections.length === 2);
    assert.equal(server.received[0], undefined);
    assert.equal(framesOf(client).filter((frame) => frame.streamId === 3 && frame.command === FIN).length, 1);
  });

  test('a refused dial: the flag ConnectToPortError without a stream, then FIN of that stream; others go on', async (t) => {
    const nowhere = await closedPort();
    const server = await TestServer.start((socket) => socket.pipe(socket));
    let dials = 0;
    const client = new ScriptedClient({
      request: REQUEST,
      dial: () => {
        dials += 1;
        return dials === 2 ? nowhere : server.address;
      },
    });
    t.after(() => {
      client.session.kill();
      server.close();
    });
    await client.handshake();
    client.send(OUTPUT, frames(encodeFrame(SYN, 3), encodeFrame(SYN, 5)));
    await until('the FIN', () => hasFin(client, 5));
    assert.equal(client.bytesOf(PAYLOAD_TYPE.FLAG).toString('hex'), '00000003');
    client.send(OUTPUT, encodeFrame(PSH, 3, Buffer.from('still here')));
    await until('the echo', () => dataOf(client, 3) === 'still here');
    assert.equal(client.hasEnded, false);
  });

  test('data of a stream that waits for its dial is kept and delivered', async (t) => {
    const { client, server } = await start(t);
    const open = [3, 5, 7, 9].map((id) =>
      frames(encodeFrame(SYN, id), encodeFrame(PSH, id, Buffer.from(`#${id}`))),
    );
    client.send(OUTPUT, Buffer.concat(open));
    await until('all four', () => server.received.filter((bytes) => bytes !== undefined).length === 4);
    assert.deepEqual(server.received.map(String), ['#3', '#5', '#7', '#9']);
  });

  test('frames of unknown streams and a second SYN do nothing', async (t) => {
    const { client, server } = await start(t);
    client.send(
      OUTPUT,
      frames(encodeFrame(PSH, 9, Buffer.from('who')), encodeFrame(FIN, 11), encodeFrame(NOP, 0)),
    );
    client.send(
      OUTPUT,
      frames(encodeFrame(SYN, 3), encodeFrame(SYN, 3), encodeFrame(PSH, 3, Buffer.from('x'))),
    );
    await until('the byte', () => server.received[0]?.toString() === 'x');
    assert.equal(server.connections.length, 1);
  });

  test('one server that does not read stops all streams once 4 MiB wait, and everything goes on when it reads', async (t) => {
    const { client, server } = await start(t);
    client.send(OUTPUT, frames(encodeFrame(SYN, 3), encodeFrame(SYN, 5)));
    await until('both connections', () => server.connections.length === 2);
    server.connections[0]?.pause();
    const block = encodeFrame(PSH, 3, Buffer.alloc(60_000, 1));
    let sent = 0;
    await until('the blocked reader', () => {
      for (let i = 0; i < 20 && sent < 2000; i += 1, sent += 1) client.send(OUTPUT, block);
      return client.acknowledged.length < sent;
    });
    client.send(OUTPUT, encodeFrame(PSH, 5, Buffer.from('behind')));
    assert.equal(server.received[1], undefined);
    server.connections[0]?.resume();
    await until('all bytes', () => server.receivedBytes(0) === sent * 60_000);
    await until('the other stream', () => server.received[1]?.toString() === 'behind');
  });
});

describe('the session', () => {
  test('TerminateSession ends it and all connections', async (t) => {
    const { client, server } = await start(t);
    client.send(OUTPUT, frames(encodeFrame(SYN, 3), encodeFrame(SYN, 5)));
    await until('both connections', () => server.connections.length === 2);
    client.sendFlag(FLAG.TERMINATE_SESSION);
    assert.deepEqual(await client.ended(), { status: 'Success', output: '' });
    await until('their ends', () => server.connections.every((socket) => socket.readableEnded));
  });

  test('DisconnectToPort means nothing', async (t) => {
    const { client, server } = await start(t, { onConnection: (socket) => socket.pipe(socket) });
    client.send(OUTPUT, encodeFrame(SYN, 3));
    await until('the connection', () => server.connections.length === 1);
    client.sendFlag(FLAG.DISCONNECT_TO_PORT);
    client.send(OUTPUT, encodeFrame(PSH, 3, Buffer.from('x')));
    await until('the echo', () => dataOf(client, 3) === 'x');
  });

  test('what is no smux closes the streams and fails the session', async (t) => {
    const { client, server } = await start(t);
    client.send(OUTPUT, encodeFrame(SYN, 3));
    await until('the connection', () => server.connections.length === 1 && client.traces.includes('dialled'));
    client.send(OUTPUT, Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'));
    assert.deepEqual(await client.ended(), { status: 'Failed', output: '' });
    assert.equal(hasFin(client, 3), true);
  });

  test('kill leaves no timer and no connection', async (t) => {
    const clock = new VirtualClock();
    const { client, server } = await start(t, { clock, request: { ...REQUEST, agentVersion: '3.1.1511.0' } });
    client.send(OUTPUT, encodeFrame(SYN, 3));
    await until('the connection', () => server.connections.length === 1);
    client.session.kill();
    await until('its end', () => server.connections[0]?.readableEnded);
    assert.equal(clock.pendingTimers, 0);
  });
});

describe('keepalive', () => {
  const TABLE: readonly (readonly [string, string, boolean])[] = [
    ['3.0.197.0', '1.2.835.0', true],
    ['3.1.1445.0', '1.2.835.0', true],
    ['3.1.1446.0', '1.2.100.0', false],
    ['3.1.1475.0', '1.2.100.0', false],
    ['3.1.1476.0', '1.2.835.0', true],
    ['3.1.1511.0', '1.2.835.0', true],
    ['3.1.1575.0', '1.2.835.0', false],
    ['3.1.1575.0', '1.2.331.0', true],
    ['3.3.987.0', '1.2.0.0', true],
    ['3.3.987.0', '1.2.332.0', false],
  ];
  for (const [agentVersion, clientVersion, isOn] of TABLE) {
    test(`agent ${agentVersion} with client ${clientVersion}: ${isOn ? 'on' : 'off'}`, () => {
      assert.equal(hasKeepalive(agentVersion, clientVersion), isOn);
    });
  }

  async function startKept(t: {
    after(fn: () => void): void;
  }): Promise<{ client: ScriptedClient; clock: VirtualClock }> {
    const clock = new VirtualClock();
    const { client } = await start(t, { clock, clientVersion: '1.2.0.0' });
    return { client, clock };
  }

  test('on: a NOP of stream 0 every 10 s', async (t) => {
    const { client, clock } = await startKept(t);
    await clock.advanceAsync(29_000);
    assert.deepEqual(
      framesOf(client).map((frame) => [frame.command, frame.streamId]),
      [
        [NOP, 0],
        [NOP, 0],
      ],
    );
  });

  test('on, and the client silent: the session fails at the first or second check of 30 s', async (t) => {
    const { client, clock } = await startKept(t);
    await clock.advanceAsync(31_000);
    assert.deepEqual(client.result, { status: 'Failed', output: '' });
    assert.equal(clock.pendingTimers, 0);
  });

  test('on: any frame of the client within 30 s keeps it', async (t) => {
    const { client, clock } = await startKept(t);
    for (let round = 0; round < 5; round += 1) {
      client.send(OUTPUT, encodeFrame(NOP, 0));
      await clock.advanceAsync(20_000);
    }
    assert.equal(client.hasEnded, false);
    await clock.advanceAsync(60_000);
    assert.equal(client.hasEnded, true);
  });

  test('off: silence for minutes is no end', async (t) => {
    const clock = new VirtualClock();
    const { client } = await start(t, { clock });
    await clock.advanceAsync(120_000);
    assert.equal(client.output.length, 0);
    assert.equal(client.hasEnded, false);
  });
});
