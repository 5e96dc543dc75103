/** `forward` of the library against the emulator: real TCP at both ends, agents new and old. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import type { ForwardBenchOptions } from '../support/forward-bench.ts';
import { ForwardBench, connectTo, portOf, readAll, startHttp } from '../support/forward-bench.ts';
import { TestServer, closedPort } from '../support/tcp-server.ts';
import { until } from '../support/until.ts';

type Context = { after(callback: () => unknown): void };

async function bench(t: Context, options: ForwardBenchOptions): Promise<ForwardBench> {
  const started = await ForwardBench.start(options);
  t.after(() => started.close());
  return started;
}

async function serverBehind(
  t: Context,
  onConnection: (socket: net.Socket) => void,
  options: Omit<ForwardBenchOptions, 'dial'> = {},
): Promise<{ bench: ForwardBench; server: TestServer }> {
  const server = await TestServer.start(onConnection);
  t.after(() => server.close());
  return { server, bench: await bench(t, { dial: { '80': server.address }, ...options }) };
}

function get(port: number, path: string, agent?: http.Agent): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve(Buffer.concat(chunks)));
    });
    request.on('error', reject);
  });
}

const sha = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

describe('many connections', () => {
  it('carries 200 downloads at once over one session, each exact', async (t) => {
    const files = Array.from({ length: 20 }, (_, index) => randomBytes(10_000 + index * 1_000));
    const server = await startHttp((request, response) => {
      response.end(files[Number(request.url?.slice(1)) % files.length]);
    });
    t.after(() => server.close());
    const { emulator, ...rest } = await bench(t, { dial: { '80': server.address } }).then((each) => ({
      emulator: each.emulator,
      port: each.localPort(80),
    }));
    const port = await rest.port;
    const bodies = await Promise.all(Array.from({ length: 200 }, (_, index) => get(port, `/${index}`)));
    bodies.forEach((body, index) =>
      assert.equal(sha(body), sha(files[index % files.length] ?? Buffer.alloc(0))),
    );
    assert.equal(emulator.controls.sessions().length, 1);
  });

  it("keeps a browser's six connections apart, request by request", async (t) => {
    const server = await startHttp((request, response) => response.end(`you asked for ${request.url}`));
    t.after(() => server.close());
    const port = await (await bench(t, { dial: { '80': server.address } })).localPort(80);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 6 });
    t.after(() => agent.destroy());
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => get(port, `/${index}`, agent)),
    );
    answers.forEach((answer, index) => assert.equal(answer.toString(), `you asked for /${index}`));
  });

  it('carries uploads and downloads of one connection at once', async (t) => {
    const { bench: forwards } = await serverBehind(t, (socket) => socket.pipe(socket));
    const socket = await connectTo({ host: '127.0.0.1', port: await forwards.localPort(80) });
    const data = randomBytes(3_000_000);
    const echoed = readUntil(socket, data.length);
    socket.write(data);
    assert.equal(sha(await echoed), sha(data));
    socket.destroy();
  });

  it('goes on beside a client that does not read', async (t) => {
    const file = randomBytes(6_000_000);
    const server = await startHttp((request, response) => {
      response.end(request.url === '/big' ? file : 'small');
    });
    t.after(() => server.close());
    const port = await (await bench(t, { dial: { '80': server.address } })).localPort(80);
    const slow = await connectTo({ host: '127.0.0.1', port });
    slow.pause();
    slow.write('GET /big HTTP/1.0\r\n\r\n');
    for (let i = 0; i < 20; i += 1) assert.equal((await get(port, '/')).toString(), 'small');
    const answer = await readAll(slow);
    assert.equal(sha(answer.subarray(-file.length)), sha(file));
  });
});

describe('ends', () => {
  it('a client that ends its sending still gets the answer', async (t) => {
    const { bench: forwards } = await serverBehind(t, (socket) => {
      socket.once('data', () => {
        setTimeout(() => socket.end('the late answer'), 300);
      });
    });
    const socket = await connectTo({ host: '127.0.0.1', port: await forwards.localPort(80) });
    socket.end('request');
    assert.equal((await readAll(socket)).toString(), 'the late answer');
  });

  it("the server's end becomes the client's, after the last byte", async (t) => {
    const data = randomBytes(200_000);
    const { bench: forwards } = await serverBehind(t, (socket) => socket.end(data));
    const socket = await connectTo({ host: '127.0.0.1', port: await forwards.localPort(80) });
    assert.equal(sha(await readAll(socket)), sha(data));
    socket.destroy();
  });

  it('what is sent after the server has closed is answered with a reset, as the agent drops it', async (t) => {
    const { bench: forwards } = await serverBehind(t, (socket) => socket.end('bye'));
    const socket = await connectTo({ host: '127.0.0.1', port: await forwards.localPort(80) });
    const codes: (string | undefined)[] = [];
    socket.on('error', (error: NodeJS.ErrnoException) => codes.push(error.code));
    assert.equal((await readAll(socket)).toString(), 'bye');
    // After the end of what it reads Node notices a reset only when it writes.
    await until('the connection is broken', () => socket.destroyed || void socket.write('anybody there?'));
    assert.match(codes[0] ?? '', /^(ECONNRESET|EPIPE)$/);
  });

  it('a client that breaks its connection closes that of the server', async (t) => {
    const { bench: forwards, server } = await serverBehind(t, () => {});
    const socket = await connectTo({ host: '127.0.0.1', port: await forwards.localPort(80) });
    socket.write('x');
    await until('the byte is there', () => server.receivedBytes(0) === 1);
    socket.resetAndDestroy();
    await until('the server sees the end', () => server.connections[0]?.readableEnded);
  });

  it('a client that has gone closes the connection of a server that has answered', async (t) => {
    const { bench: forwards, server } = await serverBehind(t, (socket) => {
      socket.on('data', () => socket.write('answer'));
    });
    const socket = await connectTo({ host: '127.0.0.1', port: await forwards.localPort(80) });
    socket.write('x');
    await once(socket, 'data');
    socket.end();
    await until('the server sees the end', () => server.connections[0]?.readableEnded);
    socket.destroy();
  });

  it('refused on the node is a reset here, and others go on', async (t) => {
    const server = await startHttp((_request, response) => response.end('fine'));
    t.after(() => server.close());
    const forwards = await bench(t, { dial: { '80': server.address, '81': await closedPort() } });
    const opened = await forwards.forward({ local: [{ to: { port: 81 } }, { to: { port: 80 } }] });
    const [refusing, fine] = opened.listening.map((each) => ('port' in each ? each.port : 0));
    for (let i = 0; i < 3; i += 1) {
      const socket = await connectTo({ host: '127.0.0.1', port: refusing ?? 0 });
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNRESET');
    }
    assert.deepEqual(new Set(forwards.errors.map(({ code }) => code)), new Set(['PORT_REFUSED']));
    assert.equal((await get(fine ?? 0, '/')).toString(), 'fine');
  });

  it('close ends connections, listeners and sessions', async (t) => {
    const { bench: forwards } = await serverBehind(t, () => {});
    const opened = await forwards.forward({ local: [{ to: { port: 80 } }] });
    const port = portOf(opened);
    const socket = await connectTo({ host: '127.0.0.1', port });
    const closed = closeOf(socket);
    await opened.close();
    await closed;
    await until('no session is left', () => forwards.liveSessions === 0);
    await assert.rejects(connectTo({ host: '127.0.0.1', port }), { code: 'ECONNREFUSED' });
  });

  it('an aborted signal does the same', async (t) => {
    const { bench: forwards } = await serverBehind(t, () => {});
    const abort = new AbortController();
    await forwards.forward({ local: [{ to: { port: 80 } }], signal: abort.signal });
    abort.abort();
    await until('no session is left', () => forwards.liveSessions === 0);
    await assert.rejects(forwards.forward({ local: [{ to: { port: 80 } }], signal: abort.signal }), {
      code: 'CANCELLED',
    });
  });
});

describe('the session', () => {
  it('is resumed in mid-transfer, both ways, without a local connection noticing', async (t) => {
    const { bench: forwards } = await serverBehind(t, (socket) => socket.pipe(socket), {
      behaviour: { paceMs: 1 },
    });
    const port = await forwards.localPort(80);
    const data = randomBytes(400_000);
    const sockets = await Promise.all([1, 2, 3].map(() => connectTo({ host: '127.0.0.1', port })));
    const echoes = sockets.map((socket) => readUntil(socket, data.length));
    for (const socket of sockets) socket.write(data);
    const { controls } = forwards.emulator;
    for (let i = 1; i <= 2; i += 1) {
      await until('some bytes have come back', () => (sockets[0]?.bytesRead ?? 0) > i * 60_000);
      for (const { sessionId } of controls.sessions()) controls.cutSession(sessionId);
    }
    for (const echo of await Promise.all(echoes)) assert.equal(sha(echo), sha(data));
    assert.equal(controls.sessions().length, 1);
    for (const socket of sockets) socket.destroy();
  });

  it('is replaced when the service has ended it; connections of the old one are reset', async (t) => {
    const { bench: forwards } = await serverBehind(t, (socket) => socket.pipe(socket));
    const port = await forwards.localPort(80);
    const old = await connectTo({ host: '127.0.0.1', port });
    const closed = closeOf(old);
    const { controls } = forwards.emulator;
    for (const { sessionId } of controls.sessions()) controls.terminateSession(sessionId);
    await closed;
    const socket = await connectTo({ host: '127.0.0.1', port });
    socket.write('again');
    assert.equal((await readUntil(socket, 5)).toString(), 'again');
    assert.equal(controls.sessions().length, 2);
    assert.deepEqual(
      forwards.errors.map(({ code }) => code),
      ['SESSION_ENDED'],
    );
    socket.destroy();
  });

  it('is one of several when asked, and connections are spread over them', async (t) => {
    const { bench: forwards } = await serverBehind(t, (socket) => socket.pipe(socket));
    const port = await forwards.localPort(80, { sessions: 3 });
    const sockets = await Promise.all(
      Array.from({ length: 6 }, () => connectTo({ host: '127.0.0.1', port })),
    );
    for (const [index, socket] of sockets.entries()) {
      socket.write(`hello ${index}`);
      assert.equal((await readUntil(socket, 7)).toString(), `hello ${index}`);
    }
    const carried = forwards.emulator.controls.sessions();
    assert.equal(carried.length, 3);
    for (const socket of sockets) socket.destroy();
  });

  it('that cannot be started rejects, with nothing left listening', async (t) => {
    const forwards = await bench(t, { dial: {} });
    await assert.rejects(
      forwards.forward({ target: '10.77.0.1', local: [{ to: { port: 80 } }] }),
      (error: unknown) => error instanceof ProxyError && error.code === 'TARGET_NOT_FOUND',
    );
  });

  it('needs a document that forwards a local port', async (t) => {
    const forwards = await bench(t, { dial: {} });
    await assert.rejects(
      forwards.forward({ local: [{ to: { port: 80 } }], document: 'AWS-StartSSHSession' }),
      { code: 'DOCUMENT_INVALID' },
    );
    await until('no session is left', () => forwards.liveSessions === 0);
  });

  it('to a host that the node reaches names the host', async (t) => {
    const server = await startHttp((_request, response) => response.end('the database'));
    t.after(() => server.close());
    const forwards = await bench(t, { dial: { 'db.internal:5432': server.address } });
    const opened = await forwards.forward({ local: [{ to: { host: 'db.internal', port: 5432 } }] });
    assert.equal((await get(portOf(opened), '/')).toString(), 'the database');
    const [session] = forwards.emulator.controls.sessions();
    assert.equal(session?.documentName, 'AWS-StartPortForwardingSessionToRemoteHost');
  });
});

describe('Unix sockets', () => {
  it('are for their owner only, carry connections, replace what was left behind, and go', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'ssm-proxy-forward-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const { bench: forwards } = await serverBehind(t, (socket) => socket.pipe(socket));
    const path = join(directory, 'db.sock');
    await leaveBehind(path);
    const opened = await forwards.forward({ local: [{ listen: { path }, to: { port: 80 } }] });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const socket = await connectTo({ path });
    socket.write('hello');
    assert.equal((await readUntil(socket, 5)).toString(), 'hello');
    await assert.rejects(forwards.forward({ local: [{ listen: { path }, to: { port: 80 } }] }), {
      code: 'LISTEN_FAILED',
    });
    await opened.close();
    assert.equal(statSync(path, { throwIfNoEntry: false }), undefined);
    socket.destroy();
  });

  it('do not replace a file', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'ssm-proxy-forward-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'precious');
    writeFileSync(path, 'data');
    const forwards = await bench(t, { dial: {} });
    await assert.rejects(forwards.forward({ local: [{ listen: { path }, to: { port: 80 } }] }), {
      code: 'LISTEN_FAILED',
    });
    assert.equal(statSync(path).size, 4);
  });
});

it('a port that is in use is an error before any session is started', async (t) => {
  const taken = await TestServer.start();
  t.after(() => taken.close());
  const forwards = await bench(t, { dial: {} });
  await assert.rejects(
    forwards.forward({ local: [{ listen: { port: taken.address.port }, to: { port: 80 } }] }),
    { code: 'LISTEN_FAILED' },
  );
  assert.equal(forwards.emulator.controls.sessions().length, 0);
});

describe('agents that do not multiplex', () => {
  for (const agentVersion of ['2.3.722.0', '2.3.750.0', '3.0.196.0']) {
    it(`${agentVersion}: one connection after the other, each its own`, async (t) => {
      const { bench: forwards, server } = await serverBehind(t, (socket) => socket.pipe(socket), {
        agentVersion,
      });
      const port = await forwards.localPort(80);
      const sockets = await Promise.all([1, 2, 3].map(() => connectTo({ host: '127.0.0.1', port })));
      for (const [index, socket] of sockets.entries()) {
        socket.write(`connection ${index}`);
        assert.equal((await readUntil(socket, 12)).toString(), `connection ${index}`);
        socket.resetAndDestroy();
      }
      assert.equal(forwards.emulator.controls.sessions().length, 1);
      assert.equal(server.connections.length, 3);
    });
  }

  it('reaches a server that speaks first, every time', async (t) => {
    const { bench: forwards } = await serverBehind(t, (socket) => socket.write('220 hello'), {
      agentVersion: '3.0.196.0',
    });
    const port = await forwards.localPort(80);
    for (let i = 0; i < 3; i += 1) {
      const socket = await connectTo({ host: '127.0.0.1', port });
      assert.equal((await readUntil(socket, 9)).toString(), '220 hello');
      socket.resetAndDestroy();
    }
  });
});

describe('agents just above the gates of multiplexing', () => {
  for (const agentVersion of ['3.0.197.0', '3.1.1446.0', '3.1.1511.0', '3.1.1575.0']) {
    it(`${agentVersion}: two connections at once`, async (t) => {
      const { bench: forwards } = await serverBehind(t, (socket) => socket.pipe(socket), { agentVersion });
      const port = await forwards.localPort(80);
      const sockets = await Promise.all([1, 2].map(() => connectTo({ host: '127.0.0.1', port })));
      for (const socket of sockets.reverse()) {
        socket.write('both');
        assert.equal((await readUntil(socket, 4)).toString(), 'both');
      }
      for (const socket of sockets) socket.destroy();
    });
  }
});

/** Whether or not with an error. */
function closeOf(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** The first `bytes` bytes; the socket stays. */
async function readUntil(socket: net.Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let count = 0;
  const onData = (data: Buffer): void => {
    chunks.push(data);
    count += data.length;
  };
  socket.on('data', onData);
  await until(`${bytes} bytes`, () => count >= bytes);
  socket.off('data', onData);
  return Buffer.concat(chunks);
}

/** A socket whose process has gone. */
async function leaveBehind(path: string): Promise<void> {
  const server = net.createServer();
  const bound = `${path}.bound`;
  server.listen(bound);
  await once(server, 'listening');
  const { linkSync } = await import('node:fs');
  linkSync(bound, path);
  server.close();
  await once(server, 'close');
}
