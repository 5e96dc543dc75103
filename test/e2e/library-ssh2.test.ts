/** `connect()` of the library in this process: ssh2's Client over its Duplex, cancellation, errors, and nothing left. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import ssh2 from 'ssh2';
import type { ClientChannel } from 'ssh2';
import { generateSshKeyPair } from '../../src/emulator/node-keys.ts';
import { ProxyError, connect } from '../../src/index.ts';
import type { ConnectOptions, SessionDuplex } from '../../src/index.ts';
import type { Cluster } from '../support/cluster.ts';
import { FAR_ENDS, NODE, startCluster } from '../support/cluster.ts';
import { randomBuffer, seededRandom } from '../support/random.ts';
import { TestServer } from '../support/tcp-server.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
const servers: TestServer[] = [];

before(async () => {
  cluster = await startCluster();
});
after(() => cluster.close());
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  cluster.reset();
  await cluster.checkNothingLeft();
});

function open(options: Partial<ConnectOptions> = {}): Promise<SessionDuplex> {
  return connect({ target: NODE, env: cluster.env, ...options });
}

/** Puts a server behind port 7777 of the node. */
async function serve(...args: Parameters<typeof TestServer.start>): Promise<void> {
  const server = await TestServer.start(...args);
  servers.push(server);
  cluster.emulator.controls.changeInstance(cluster.instanceId(NODE), { dial: { '7777': server.address } });
}

async function login(host: string, options: Partial<ConnectOptions> = {}): Promise<ssh2.Client> {
  const node = cluster.emulator.instances.find(({ privateIp }) => privateIp === host);
  assert.ok(node !== undefined && node.identityFile !== null);
  const sock = await open({ target: host, ...options });
  const client = new ssh2.Client();
  client.connect({ sock, username: node.user, privateKey: readFileSync(node.identityFile) });
  await once(client, 'ready');
  return client;
}

test('a key that is pushed logs in', async () => {
  const { privateKey, publicKey } = generateSshKeyPair('new');
  const user = cluster.emulator.instances.find(({ privateIp }) => privateIp === NODE)?.user ?? '';
  const sock = await open({ pushKey: { user, publicKey } });
  const client = new ssh2.Client();
  client.connect({ sock, username: user, privateKey });
  await once(client, 'ready');
  client.end();
  await once(sock, 'close');
});

function exec(client: ssh2.Client, command: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => (error === undefined ? resolve(channel) : reject(error)));
  });
}

/** Kinds of handles that this process has open, each as often as it is. */
function resources(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => /TCP|TLS|Pipe|Timeout|Process|DNS|GETADDRINFO/i.test(kind))
    .sort();
}

for (const { name, host, skip } of FAR_ENDS) {
  describe(`ssh2's Client to the ${name}`, { skip }, () => {
    test('runs a command and gets output and exit status', async () => {
      const client = await login(host);
      const channel = await exec(client, 'cat; echo problem >&2; exit 7');
      const output: Buffer[] = [];
      const errors: Buffer[] = [];
      channel.on('data', (data: Buffer) => output.push(data));
      channel.stderr.on('data', (data: Buffer) => errors.push(data));
      channel.end('hello');
      const [status] = (await once(channel, 'close')) as [number];
      assert.deepEqual(
        { status, output: Buffer.concat(output).toString(), errors: Buffer.concat(errors).toString() },
        { status: 7, output: 'hello', errors: 'problem\n' },
      );
      client.end();
      await once(client, 'close');
    });

    test('carries 5 MB both ways', async () => {
      cluster.liftPaces();
      const client = await login(host, { pace: 'off' });
      const channel = await exec(client, 'cat');
      const content = randomBuffer(seededRandom(1), 5_000_000);
      const hash = createHash('sha256');
      let receivedBytes = 0;
      channel.on('data', (data: Buffer) => {
        hash.update(data);
        receivedBytes += data.length;
      });
      channel.end(content);
      await once(channel, 'close');
      assert.equal(receivedBytes, content.length);
      assert.equal(hash.digest('hex'), createHash('sha256').update(content).digest('hex'));
      client.end();
      await once(client, 'close');
    });
  });
}

describe('the stream of connect()', () => {
  test('is there once the session is, and its session ID is known', async () => {
    const stream = await open();
    assert.equal(cluster.emulator.controls.sessions()[0]?.sessionId, stream.sessionId);
    const [banner] = (await once(stream, 'data')) as [Buffer];
    assert.match(banner.toString('latin1'), /^SSH-2\.0-/);
    stream.destroy();
    await once(stream, 'close');
  });

  test('ends when the far end does, after all bytes', async () => {
    cluster.liftPaces();
    const content = randomBuffer(seededRandom(2), 2_000_000);
    await serve((socket) => socket.end(content));
    const stream = await open({ port: 7777 });
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(content));
  });

  test('after end() still brings what the far end says, then ends', async () => {
    await serve((socket) => {
      socket.on('data', (data: Buffer) => socket.write(data));
    });
    const stream = await open({ port: 7777 });
    stream.end('last words');
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    assert.equal(Buffer.concat(chunks).toString(), 'last words');
  });

  test('leaves no handle behind', async () => {
    const before = resources();
    for (let i = 0; i < 3; i += 1) {
      const stream = await open();
      await once(stream, 'data');
      stream.destroy();
      await once(stream, 'close');
    }
    await cluster.checkNothingLeft();
    await until('the handles are gone', () => resources().length <= before.length).catch(() => {});
    assert.deepEqual(resources(), before);
  });
});

describe('cancellation of connect()', () => {
  test('before it starts: rejects, and AWS is not asked', async () => {
    const callsBefore = JSON.stringify(cluster.emulator.controls.state().calls);
    await assert.rejects(open({ signal: AbortSignal.abort() }), { code: 'CANCELLED' });
    assert.equal(JSON.stringify(cluster.emulator.controls.state().calls), callsBefore);
  });

  for (const [stage, prepare, isReached] of [
    [
      'during the look-up',
      () =>
        cluster.emulator.controls.changeFaults({
          api: { failures: [{ operation: 'ec2:DescribeInstances', kind: 'hang' }] },
        }),
      () => cluster.emulator.controls.state().openSockets > 0,
    ],
    [
      'during StartSession',
      () => cluster.emulator.controls.changeFaults({ api: { latencyMs: 400 } }),
      () => cluster.emulator.controls.sessions()[0]?.status === 'Connecting',
    ],
    [
      'while the data channel opens',
      () => cluster.emulator.controls.changeFaults({ open: { outcomes: [{ kind: 'hang' }] } }),
      () => cluster.emulator.controls.state().opens.at(-1)?.outcome === 'unanswered',
    ],
  ] as const) {
    test(`${stage}: rejects and leaves nothing`, async () => {
      prepare();
      const cancelling = new AbortController();
      const opening = open({ signal: cancelling.signal });
      opening.catch(() => {});
      await until(stage, isReached);
      cancelling.abort();
      await assert.rejects(opening, { code: 'CANCELLED' });
    });
  }

  test('afterwards: destroys the stream with the same code', async () => {
    const cancelling = new AbortController();
    const stream = await open({ signal: cancelling.signal });
    const failed = once(stream, 'error') as Promise<[Error]>;
    const closed = new Promise((resolve) => stream.once('close', resolve));
    cancelling.abort();
    const [error] = await failed;
    assert.ok(error instanceof ProxyError);
    assert.equal(error.code, 'CANCELLED');
    await closed;
  });
});

describe('failures of connect()', () => {
  for (const [code, options, prepare] of [
    ['TARGET_NOT_FOUND', { target: '10.99.99.99' }, undefined],
    ['TARGET_INVALID', { target: '' }, undefined],
    [
      'CREDENTIALS_MISSING',
      { env: { AWS_REGION: 'us-east-1', AWS_EC2_METADATA_DISABLED: 'true' } },
      undefined,
    ],
    ['DOCUMENT_INVALID', { document: 'No-Such-Document' }, undefined],
    [
      'CONNECT_TIMEOUT',
      { connectTimeoutMs: 1_000 },
      () => cluster.emulator.controls.changeFaults({ api: { failures: [{ operation: '*', kind: 'hang' }] } }),
    ],
  ] as const) {
    test(`${code} rejects with a ProxyError of that code`, async () => {
      prepare?.();
      await assert.rejects(open(options), (error) => error instanceof ProxyError && error.code === code);
    });
  }

  test('a port that nobody listens on is an error of the stream', async () => {
    cluster.emulator.controls.changeBehaviour({ portFailureMs: 100 });
    const stream = await open({ port: 7779 });
    const [error] = (await once(stream, 'error')) as [Error];
    assert.ok(error instanceof ProxyError);
    assert.equal(error.code, 'PORT_REFUSED');
  });

  test('a port that stays silent is an error of the stream after the connect timeout', async () => {
    await serve();
    const stream = await open({ port: 7777, connectTimeoutMs: 2_000 });
    const [error] = (await once(stream, 'error')) as [Error];
    assert.ok(error instanceof ProxyError);
    assert.equal(error.code, 'PORT_SILENT');
  });
});
