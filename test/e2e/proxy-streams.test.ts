/**
 * `ssm-proxy connect` with pipes in place of ssh, and with servers that are early, late, silent or absent. stdout
 * carries the far end's bytes and nothing else, whatever happens.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { FAR_ENDS, NODE, NO_PACE, startCluster } from '../support/cluster.ts';
import { failureOf, statusOf } from '../support/failure.ts';
import { skipWithout } from '../support/programs.ts';
import { randomBuffer, seededRandom } from '../support/random.ts';
import { TestServer } from '../support/tcp-server.ts';
import { until } from '../support/until.ts';

/** A port of the node that a test puts its server behind. */
const PORT = '7777';
/** A port of the node on which nothing listens. */
const CLOSED_PORT = '7778';

let cluster: Cluster;
const servers: TestServer[] = [];

before(async () => {
  cluster = await startCluster();
});
after(() => cluster.close());
afterEach(async () => {
  cluster.reset();
  await cluster.checkNothingLeft();
  for (const server of servers.splice(0)) server.close();
});

/** Puts a server behind PORT of the node. */
async function serve(onConnection: (socket: Socket) => void): Promise<TestServer> {
  const server = await TestServer.start(onConnection);
  servers.push(server);
  cluster.emulator.controls.changeInstance(cluster.instanceId(NODE), { dial: { [PORT]: server.address } });
  return server;
}

describe('streams of connect', () => {
  for (const { name, host, skip } of FAR_ENDS) {
    test(`an input that has ended still gets the banner (${name})`, { skip }, async () => {
      const { status, stdout, stderr } = await cluster.cli(['connect', host]);
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      assert.match(stdout.toString('latin1'), /^SSH-2\.0-[^\n]+\n/);
    });

    test(`a reader that takes 10 bytes gets them and ends the connection (${name})`, { skip }, async () => {
      const command = `"$0" "$1" connect ${host} < /dev/null | head -c 10`;
      const { status, stdout, stderr } = await cluster.run('sh', ['-c', command, ...cluster.cliCommand]);
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      assert.match(stdout.toString('latin1'), /^SSH-2\.0-..$/);
    });
  }

  test('a reader that goes away during a download ends the connection, though the input stays open', async () => {
    await serve((socket) => {
      const block = Buffer.alloc(65_536, 'x');
      const more = (): void => {
        while (socket.writable && socket.write(block));
      };
      socket.on('drain', more);
      more();
    });
    const program = cluster.startCli(['connect', NODE, PORT], { keepsInput: true });
    await until('data flows', () => program.receivedBytes() > 100_000);
    program.stdout.destroy();
    const [status] = (await once(program.child, 'exit')) as [number];
    assert.equal(status, 141);
    assert.equal(program.errorsSoFar(), '');
  });

  test('a server that closes first ends the connection, after all its bytes', async () => {
    const content = randomBuffer(seededRandom(1), 3_000_000);
    cluster.liftPaces();
    await serve((socket) => socket.end(content));
    const program = cluster.startCli(['connect', NODE, PORT], { keepsInput: true });
    const { status, stdout, stderr } = await program.finished;
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.ok(stdout.equals(content), `${stdout.length} bytes arrived`);
  });

  test('a server that goes on for a while after the end of the input is heard to the end', async () => {
    // Echoes, and closes once it has had everything: the end of the input itself does not reach it.
    const content = randomBuffer(seededRandom(2), 200_000);
    await serve((socket) => {
      let receivedBytes = 0;
      socket.on('data', (data: Buffer) => {
        socket.write(data);
        receivedBytes += data.length;
        if (receivedBytes === content.length) socket.end('end');
      });
    });
    const { status, stdout, stderr } = await cluster.cli(['connect', NODE, PORT], { input: content });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.ok(stdout.equals(Buffer.concat([content, Buffer.from('end')])), `${stdout.length} bytes arrived`);
  });

  test('chunks of 1 byte to 1 MB come back from an echo in their order', async () => {
    cluster.liftPaces();
    await serve((socket) => socket.pipe(socket));
    const program = cluster.startCli(['connect', NODE, PORT], {
      keepsInput: true,
      keepsOutput: false,
      env: NO_PACE,
    });
    const random = seededRandom(3);
    const sent = createHash('sha256');
    const received = createHash('sha256');
    program.stdout.on('data', (data: Buffer) => received.update(data));
    let sentBytes = 0;
    while (sentBytes < 10_000_000) {
      const chunk = randomBuffer(random, Math.ceil(2 ** (random() * 20)));
      sentBytes += chunk.length;
      sent.update(chunk);
      if (!program.stdin.write(chunk)) await once(program.stdin, 'drain');
    }
    await until('everything is back', () => program.receivedBytes() === sentBytes, 60_000);
    program.stdin.end();
    const { status, stderr } = await program.finished;
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.equal(received.digest('hex'), sent.digest('hex'));
  });

  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGINT', 130],
  ] as const) {
    test(`${signal} to the proxy itself ends it with ${status}, without a word`, async () => {
      const program = cluster.startCli(['connect', NODE], { keepsInput: true });
      await until('the banner', () => program.outputSoFar().startsWith('SSH-2.0-'));
      process.kill(program.pid, signal);
      const result = await program.finished;
      assert.deepEqual({ status: result.status, stderr: result.stderr }, { status, stderr: '' });
    });
  }
});

describe('servers that keep one waiting', () => {
  test('a banner that comes after 3 s is in time', { skip: skipWithout('ssh') }, async () => {
    await serve((socket) => {
      setTimeout(() => socket.end('SSH-2.0-late\r\n'), 3_000);
    });
    const program = cluster.startCli(['connect', NODE, PORT], { keepsInput: true });
    const { status, stdout, stderr } = await program.finished;
    assert.deepEqual(
      { status, stdout: stdout.toString(), stderr },
      { status: 0, stdout: 'SSH-2.0-late\r\n', stderr: '' },
    );
  });

  test('a real ssh waits for a node that is slow to answer', { skip: skipWithout('ssh') }, async () => {
    cluster.emulator.controls.changeBehaviour({ dialDelayMs: 1_500 });
    const { status, stdout, stderr } = await cluster.ssh([NODE, 'echo here']);
    assert.deepEqual(
      { status, stdout: stdout.toString(), stderr },
      { status: 0, stdout: 'here\n', stderr: '' },
    );
  });

  test('a server that accepts and stays silent is PORT_SILENT within the connect timeout', async () => {
    await serve(() => {});
    const program = cluster.startCli(['connect', NODE, PORT, '--connect-timeout', '3'], { keepsInput: true });
    program.stdin.write('SSH-2.0-test\r\n');
    const result = await program.finished;
    const { code, message } = failureOf(result);
    assert.deepEqual(
      { code, status: result.status },
      { code: 'PORT_SILENT', status: statusOf('PORT_SILENT') },
    );
    assert.match(
      message,
      new RegExp(`^port ${PORT} of i-\\w+ accepts connections but sent nothing within 3 s$`),
    );
  });

  test('a port on which nothing listens is PORT_SILENT while the agent says nothing', async () => {
    const program = cluster.startCli(['connect', NODE, CLOSED_PORT, '--connect-timeout', '3'], {
      keepsInput: true,
    });
    program.stdin.write('SSH-2.0-test\r\n');
    const result = await program.finished;
    const { code, message } = failureOf(result);
    assert.deepEqual(
      { code, status: result.status },
      { code: 'PORT_SILENT', status: statusOf('PORT_SILENT') },
    );
    assert.match(
      message,
      new RegExp(`^nothing answers on port ${CLOSED_PORT} of i-\\w+ \\(no byte within 3 s\\)$`),
    );
  });

  test('a port on which nothing listens is PORT_REFUSED once the agent says so', async () => {
    cluster.emulator.controls.changeBehaviour({ portFailureMs: 100 });
    const program = cluster.startCli(['connect', NODE, CLOSED_PORT], { keepsInput: true });
    const result = await program.finished;
    const { code, message } = failureOf(result);
    assert.deepEqual(
      { code, status: result.status },
      { code: 'PORT_REFUSED', status: statusOf('PORT_REFUSED') },
    );
    assert.match(message, /Unable to connect to specified port/);
  });

  test('ssh shows our two lines for a port that is silent', { skip: skipWithout('ssh') }, async () => {
    const { status, stdout, stderr } = await cluster.ssh(['-p', CLOSED_PORT, NODE, 'true'], {
      env: { SSM_PROXY_CONNECT_TIMEOUT: '3' },
    });
    assert.equal(status, 255);
    assert.equal(stdout.length, 0);
    const ours = stderr.split('\n').filter((line) => line.startsWith('ssm-proxy: '));
    assert.match(ours[0] ?? '', / \[PORT_SILENT\]$/);
    assert.ok(ours.length >= 2, stderr);
    assert.doesNotMatch(stderr, /^ssh:/m);
  });
});
