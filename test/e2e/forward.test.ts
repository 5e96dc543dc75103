/** `ssm-proxy forward` as people run it: curl, WebSockets, a dialogue with a database, commands, signals. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type * as net from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import type { Cluster } from '../support/cluster.ts';
import { NODE, startCluster } from '../support/cluster.ts';
import { connectTo, startHttp } from '../support/forward-bench.ts';
import type { HttpServer } from '../support/forward-bench.ts';
import type { Program } from '../support/programs.ts';
import { findProgram } from '../support/programs.ts';
import { TestServer, closedPort } from '../support/tcp-server.ts';
import { until } from '../support/until.ts';

const FILE = randomBytes(300_000);
const FILE_HASH = createHash('sha256').update(FILE).digest('hex');

let cluster: Cluster;
let web: HttpServer;
let sockets: WebSocketServer;
let database: TestServer;
before(async () => {
  cluster = await startCluster({ nodes: 2, withSshd: false });
  web = await startHttp((request, response) => {
    response.end(request.url === '/file' ? FILE : `you asked for ${request.url}`);
  });
  sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
  await once(sockets, 'listening');
  database = await TestServer.start(serveDatabase);
  const refused = await closedPort();
  cluster.emulator.controls.changeInstance(cluster.instanceId(NODE), {
    dial: {
      '80': web.address,
      '81': refused,
      '90': { host: '127.0.0.1', port: (sockets.address() as net.AddressInfo).port },
      'db.internal:5432': database.address,
      'web.internal:80': web.address,
      'down.internal:80': refused,
    },
  });
});
after(async () => {
  await cluster.close();
  web.close();
  sockets.close();
  database.close();
});
beforeEach(() => cluster.reset());

interface Listening {
  readonly listening: readonly { readonly port: number; readonly host: string }[];
}

/** A forward that listens, and its ports. */
async function startForward(
  args: readonly string[],
): Promise<{ program: Program; ports: readonly number[] }> {
  const program = cluster.startCli(['forward', NODE, '--json', ...args]);
  let text = '';
  program.stdout.on('data', (data: Buffer) => (text += data.toString()));
  await until('it listens', () => text.includes('\n'));
  const { listening } = JSON.parse(text) as Listening;
  return { program, ports: listening.map(({ port }) => port) };
}

async function stop(program: Program): Promise<void> {
  program.child.kill('SIGINT');
  const { status, stderr } = await program.finished;
  assert.equal(status, 130, stderr);
  await cluster.checkNothingLeft();
}

function curl(...args: readonly string[]) {
  return cluster.run('curl', ['-sS', '--max-time', '20', '--noproxy', '', ...args]);
}

const needsCurl = findProgram('curl') === undefined && 'curl is not installed';

describe('ssm-proxy forward', () => {
  it(
    'stays until Ctrl-C: curl, a WebSocket and a database through one process',
    { skip: needsCurl },
    async () => {
      const { program, ports } = await startForward(['-L0:80', '-L', '0:90', '-L', '0:db.internal:5432']);
      const [webPort = 0, socketPort = 0, databasePort = 0] = ports;
      const page = await curl(`http://127.0.0.1:${webPort}/page`);
      assert.equal(page.stdout.toString(), 'you asked for /page');
      const file = await curl(`http://127.0.0.1:${webPort}/file`);
      assert.equal(createHash('sha256').update(file.stdout).digest('hex'), FILE_HASH);

      const socket = new WebSocket(`ws://127.0.0.1:${socketPort}`);
      await once(socket, 'open');
      for (const message of ['one', 'x'.repeat(70_000), 'three']) {
        socket.send(message);
        const [answer] = (await once(socket, 'message')) as [Buffer];
        assert.equal(answer.toString(), message);
      }
      socket.terminate();

      const rows = await askDatabase(databasePort, ['select 1', 'select 2', 'quit']);
      assert.deepEqual(rows, ['ready', 'row of select 1', 'row of select 2', 'bye']);
      await stop(program);
    },
  );

  it('runs a command with the tunnel up, and ends with its exit status', async () => {
    const script =
      'require("http").get("http://127.0.0.1:" + process.env.SSM_PROXY_FORWARD_PORTS + "/x", (r) => {' +
      ' r.pipe(process.stdout); r.on("end", () => (process.exitCode = 7)); })';
    const args = ['forward', NODE, '-L', '0:80', '--', process.execPath, '-e', script];
    const { status, stdout, stderr } = await cluster.cli(args);
    assert.equal(stdout.toString(), 'you asked for /x');
    assert.equal(status, 7);
    assert.match(stderr.toString(), /^ssm-proxy: 127\.0\.0\.1:\d+ is localhost:80 of /);
    await cluster.checkNothingLeft();
  });

  it('says that a command cannot be run', async () => {
    const { status, stderr } = await cluster.cli(['forward', NODE, '-L', '0:80', '--', 'no-such-program']);
    assert.equal(status, 127);
    assert.match(stderr.toString(), /no-such-program cannot be run: not found \[USAGE\]/);
    await cluster.checkNothingLeft();
  });

  it('passes SIGTERM on to the command', async () => {
    const program = cluster.startCli(['forward', NODE, '-L', '0:80', '--', 'sleep', '60']);
    await until('the command runs', () => cluster.processes().some((line) => /^\d+ sleep 60/.test(line)));
    program.child.kill('SIGTERM');
    assert.equal((await program.finished).status, 143);
    await cluster.checkNothingLeft();
  });

  it('is a SOCKS proxy that asks the node for names', { skip: needsCurl }, async () => {
    const { program, ports } = await startForward(['-D0']);
    const proxy = `127.0.0.1:${ports[0]}`;
    const page = await curl('--socks5-hostname', proxy, 'http://web.internal/there');
    assert.equal(page.stdout.toString(), 'you asked for /there', page.stderr.toString());
    const own = await curl('--socks5-hostname', proxy, 'http://localhost/here');
    assert.equal(own.stdout.toString(), 'you asked for /here', own.stderr.toString());
    const refused = await curl('--socks5-hostname', proxy, 'http://down.internal/');
    assert.match(refused.stderr.toString(), /Can't complete SOCKS5 connection to down\.internal\. \(5\)/);
    await stop(program);
  });

  it('listens on a Unix socket', { skip: needsCurl }, async () => {
    const path = join(cluster.directory, 'web.sock');
    const { program } = await startForward(['-L', `${path}:80`]);
    const page = await curl('--unix-socket', path, 'http://node/socket');
    assert.equal(page.stdout.toString(), 'you asked for /socket');
    await stop(program);
  });

  it('says which port nothing listens on, and resets the connection', { skip: needsCurl }, async () => {
    const { program, ports } = await startForward(['-L', '0:81']);
    const { status, stderr } = await curl(`http://127.0.0.1:${ports[0]}/`);
    assert.equal(status, 56, stderr.toString());
    program.child.kill('SIGINT');
    const ended = await program.finished;
    assert.match(ended.stderr.toString(), /could not connect to port 81 of i-\w+ \[PORT_REFUSED\]/);
    await cluster.checkNothingLeft();
  });

  it('is there again after a cut, with the same connections', async () => {
    const { program, ports } = await startForward(['-L', '0:db.internal:5432']);
    const socket = await connectTo({ host: '127.0.0.1', port: ports[0] ?? 0 });
    const said = linesOf(socket);
    await until('the greeting', () => said().includes('ready'));
    const { controls } = cluster.emulator;
    controls.dropAllClients();
    socket.write('select 3\n');
    await until('the row', () => said().includes('row of select 3'));
    socket.destroy();
    await stop(program);
  });

  it('uses several sessions when asked', { skip: needsCurl }, async () => {
    const { program, ports } = await startForward(['-L', '0:80', '--sessions', '3']);
    const live = cluster.emulator.controls.sessions().filter(({ hasClient }) => hasClient);
    assert.equal(live.length, 3);
    const config = join(cluster.directory, 'urls');
    const url = `url = "http://127.0.0.1:${ports[0]}/file"\noutput = "/dev/null"\n`;
    writeFileSync(config, url.repeat(6));
    const { status } = await curl('--parallel', '--config', config);
    assert.equal(status, 0);
    await stop(program);
  });

  for (const [args, message] of [
    [[], /there is nothing to forward \[USAGE\]/],
    [['-L', '80'], /-L "80" cannot be used/],
    [['-L', '0:80', '--sessions', '99'], /--sessions "99" cannot be used/],
    [['-L', '0:80', '--'], /there is no command after --/],
  ] as const) {
    it(`${args.join(' ') || 'nothing'} is a mistake on the command line`, async () => {
      const { status, stderr } = await cluster.cli(['forward', NODE, ...args]);
      assert.equal(status, 2);
      assert.match(stderr.toString(), message);
    });
  }
});

/** Speaks first, answers line by line: as databases do. */
function serveDatabase(socket: net.Socket): void {
  socket.write('ready\n');
  let text = '';
  socket.on('data', (data: Buffer) => {
    text += data.toString();
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      if (line === 'quit') socket.end('bye\n');
      else socket.write(`row of ${line}\n`);
    }
  });
}

/** Asks one thing after the other; what was answered. */
async function askDatabase(port: number, questions: readonly string[]): Promise<readonly string[]> {
  const socket = await connectTo({ host: '127.0.0.1', port });
  const said = linesOf(socket);
  for (const [index, question] of questions.entries()) {
    await until('an answer', () => said().length > index);
    socket.write(`${question}\n`);
  }
  await until('the end', () => socket.readableEnded);
  socket.destroy();
  return said();
}

function linesOf(socket: net.Socket): () => readonly string[] {
  let text = '';
  socket.on('data', (data: Buffer) => (text += data.toString()));
  return () => text.split('\n').slice(0, -1);
}
