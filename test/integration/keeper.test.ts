/** The keeper on a real socket, with sessions that echo. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { ProxyError } from '../../src/errors.ts';
import { ask, openShared } from '../../src/keeper/client.ts';
import type { SharedOutcome } from '../../src/keeper/client.ts';
import { Keeper } from '../../src/keeper/keeper.ts';
import { NotShareable } from '../../src/keeper/node-session.ts';
import type { OpenNodeSession } from '../../src/keeper/node-session.ts';
import { KeeperPlace } from '../../src/keeper/place.ts';
import type { ConnectRequest } from '../../src/keeper/wire.ts';
import { silentLog } from '../../src/log.ts';
import { until } from '../support/until.ts';

let directory = '';
let keepers: Keeper[] = [];
let sockets: Socket[] = [];
let opened = 0;
let terminated = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'keeper-'));
  keepers = [];
  sockets = [];
  opened = 0;
  terminated = 0;
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(keepers.map((keeper) => keeper.end()));
  rmSync(directory, { recursive: true });
});

const echo: OpenNodeSession = (events) => {
  opened += 1;
  let isOpen = true;
  events.onStage('opening');
  return Promise.resolve({
    sessionId: `session-${opened}`,
    instanceId: 'i-0123456789abcdef0',
    region: 'us-east-1',
    get isOpen() {
      return isOpen;
    },
    openStream: () => new PassThrough(),
    stats: () => ({ receivedBytes: 0, sentBytes: 0, roundTripMs: 0, resumes: 0 }),
    terminate: () => {
      if (isOpen) terminated += 1;
      isOpen = false;
      events.onEnd();
      return Promise.resolve();
    },
  });
};

function createKeeper(open: OpenNodeSession = echo): Keeper {
  const keeper = new Keeper({
    directory,
    clock: systemClock,
    log: silentLog,
    processKey: 'node',
    opener: () => open,
  });
  keepers.push(keeper);
  return keeper;
}

function request(changes: Partial<ConnectRequest> = {}): ConnectRequest {
  const target = {
    ...{
      target: '10.0.1.10',
      port: 22,
      regions: undefined,
      profile: undefined,
      role: undefined,
      account: undefined,
    },
    ...{
      endpointUrl: undefined,
      ssmmessagesEndpoint: undefined,
      vpc: undefined,
      tags: {},
      startsPerSecond: 0,
      pace: 'safe',
    },
    ...{ resumeTimeoutMs: 1, renewAfterMs: 1, pingIntervalMs: 1 },
  };
  return {
    ...{ op: 'connect', key: 'key', identity: 'me', processKey: 'node', env: {}, target },
    ...{ idleMs: 600_000, maxSessions: 4 },
    ...changes,
  };
}

function up(): { readonly path: string; readonly place: Parameters<typeof openShared>[1] } {
  const keeperPlace = new KeeperPlace(directory);
  const place = keeperPlace.find(systemClock.wallNow());
  assert.ok(place.kind === 'up');
  return { path: keeperPlace.path(place.socket), place };
}

async function open(changes: Partial<ConnectRequest> = {}): Promise<SharedOutcome> {
  const { path, place } = up();
  const outcome = await openShared(
    path,
    place,
    request(changes),
    { onStage: () => {} },
    new AbortController().signal,
  );
  if (outcome.kind === 'open') sockets.push(outcome.socket);
  return outcome;
}

async function openSocket(changes: Partial<ConnectRequest> = {}): Promise<Socket> {
  const outcome = await open(changes);
  assert.equal(outcome.kind, 'open');
  return outcome.socket;
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

test('carries bytes both ways, and the end of each way', async () => {
  await createKeeper().start();
  const socket = await openSocket();
  const data = Buffer.alloc(3_000_000, 'shared');
  socket.end(data);
  assert.ok((await readAll(socket)).equals(data));
});

test('fifty clients at once ride on one session of one keeper', async () => {
  const mine = await Promise.all(Array.from({ length: 5 }, () => createKeeper().start()));
  assert.deepEqual(mine.filter((isKeeper) => isKeeper).length, 1);
  const all = await Promise.all(Array.from({ length: 50 }, () => openSocket()));
  const answers = await Promise.all(
    all.map((socket, index) => {
      socket.end(`client ${index}`);
      return readAll(socket);
    }),
  );
  assert.deepEqual(
    answers.map(String),
    all.map((_, index) => `client ${index}`),
  );
  assert.equal(opened, 1);
});

test('another identity, or another target, never rides on the same session', async () => {
  await createKeeper().start();
  await openSocket({ key: 'one' });
  await openSocket({ key: 'other' });
  assert.equal(opened, 2);
});

test('a client with other settings of Node goes alone', async () => {
  await createKeeper().start();
  const outcome = await open({ processKey: 'with other certificates' });
  assert.deepEqual(outcome, { kind: 'alone', reason: 'settings of Node differ', isDead: false });
});

test('a node that cannot be shared sends its clients their own way', async () => {
  await createKeeper(() => Promise.reject(new NotShareable('the agent is old'))).start();
  assert.deepEqual(await open(), { kind: 'alone', reason: 'the agent is old', isDead: false });
});

test('what opening a session failed with is told as it is', async () => {
  const error = new ProxyError('TARGET_NOT_FOUND', 'no instance has 10.0.1.10', { hint: 'look' });
  await createKeeper(() => Promise.reject(error)).start();
  const outcome = await open();
  assert.ok(outcome.kind === 'failed');
  assert.deepEqual(
    [outcome.error.code, outcome.error.message, outcome.error.hint],
    ['TARGET_NOT_FOUND', 'no instance has 10.0.1.10', 'look'],
  );
});

test('a keeper that is stopped ends its sessions, its clients and itself', async () => {
  const keeper = createKeeper();
  await keeper.start();
  const socket = await openSocket();
  const { path } = up();
  const ended = new Promise((resolve) => socket.once('end', resolve));
  socket.resume();
  assert.deepEqual(await ask(path, { op: 'stop' }, 10_000), { is: 'done' });
  await Promise.all([keeper.ended, ended]);
  assert.equal(terminated, 1);
  assert.equal(new KeeperPlace(directory).find(systemClock.wallNow()).kind, 'none');
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.startsWith('k-')),
    [],
  );
});

test('a keeper that drains goes on with what it has, beside its successor', async () => {
  const old = createKeeper();
  await old.start();
  const socket = await openSocket();
  const { path } = up();
  assert.deepEqual(await ask(path, { op: 'drain' }, 10_000), { is: 'done' });
  assert.equal(await createKeeper().start(), true);
  await openSocket();
  assert.equal(opened, 2);
  socket.end('still here');
  assert.equal(String(await readAll(socket)), 'still here');
  await old.ended;
  assert.equal(terminated, 1);
});

test('a socket that nobody listens on is known to be dead, and its keeper replaced', async () => {
  const dead = new KeeperPlace(directory);
  // What a killed keeper leaves behind.
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(dead.path('k-dead'), resolve));
  dead.claim('k-dead', 1, 2 ** 22 + 1, systemClock.wallNow());
  await new Promise((resolve) => server.close(resolve));
  writeFileSync(dead.path('k-dead'), '');
  const outcome = await open();
  assert.ok(outcome.kind === 'alone' && outcome.isDead);
  assert.equal(await createKeeper().start(), true);
  await openSocket();
});

test('a keeper that says nothing is left alone', async () => {
  const place = new KeeperPlace(directory);
  const held: Socket[] = [];
  const server = createServer((socket) => held.push(socket));
  await new Promise<void>((resolve) => server.listen(place.path('k-mute'), resolve));
  place.claim('k-mute', 1, 2 ** 22 + 1, systemClock.wallNow());
  const outcome = await open();
  assert.deepEqual(outcome, { kind: 'alone', reason: 'the keeper does not answer', isDead: false });
  for (const socket of held) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test('a client that goes away takes its stream with it', async () => {
  let stream: PassThrough | undefined;
  await createKeeper(async (events, signal) => {
    const session = await echo(events, signal);
    return { ...session, isOpen: true, openStream: () => (stream = new PassThrough()) };
  }).start();
  const socket = await openSocket();
  socket.destroy();
  await until('the stream is closed', () => stream?.destroyed === true);
});

test('a stream that breaks tells its client why, when it asks', async () => {
  let stream: PassThrough | undefined;
  await createKeeper(async (events, signal) => {
    const session = await echo(events, signal);
    return { ...session, isOpen: true, openStream: () => (stream = new PassThrough()) };
  }).start();
  const outcome = await open();
  assert.ok(outcome.kind === 'open');
  assert.equal(await outcome.why(), undefined);
  stream?.destroy(new ProxyError('PORT_REFUSED', 'nobody listens', { hint: 'start it' }));
  await until(
    'the client is let go',
    () => outcome.socket.readableEnded || outcome.socket.resume().destroyed,
  );
  const error = await outcome.why();
  assert.deepEqual(
    [error?.code, error?.message, error?.hint],
    ['PORT_REFUSED', 'nobody listens', 'start it'],
  );
});

test('status tells sessions and streams', async () => {
  await createKeeper().start();
  await openSocket();
  const reply = await ask(up().path, { op: 'status' }, 10_000);
  assert.ok(reply?.is === 'status');
  const status = reply.status as {
    clients: number;
    nodes: { destination: string; sessions: { streams: number; sessionId: string }[] }[];
  };
  assert.equal(status.clients, 1);
  assert.equal(status.nodes[0]?.destination, '10.0.1.10:22');
  assert.deepEqual(
    status.nodes[0]?.sessions.map(({ sessionId, streams }) => [sessionId, streams]),
    [['session-1', 1]],
  );
});

test('nonsense on the socket ends that connection, not the keeper', async () => {
  await createKeeper().start();
  const { path } = up();
  for (const line of ['{', '[]', '{"op":"connect"}', '{"op":"dance"}', 'null', '7', '\0\0'])
    assert.equal(await answerTo(path, `${line}\n`), '');
  await openSocket();
});

function answerTo(path: string, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(path);
    socket.on('error', () => {});
    socket.on('data', (data) => (answer += data.toString()));
    socket.once('close', () => resolve(answer));
    socket.write(text);
  });
}
