/** The WebSocket transport against real servers on loopback. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { createTlsMaterial } from '../../src/emulator/tls-authority.ts';
import type { TlsMaterial } from '../../src/emulator/tls-authority.ts';
import { ProxyError } from '../../src/errors.ts';
import { createLog, silentLog } from '../../src/log.ts';
import { createNetwork } from '../../src/transport/network.ts';
import type { Transport } from '../../src/transport/transport.ts';
import type { WebSocketOptions } from '../../src/transport/websocket.ts';
import { MAX_MESSAGE_BYTES, createWebSocketConnect } from '../../src/transport/websocket.ts';
import type { AwsHome } from '../support/aws-home.ts';
import { createAwsHome } from '../support/aws-home.ts';
import { closedPort, serveProxy, serveRaw, serveSilence, serveWebSocket } from '../support/aws-server.ts';
import { TransportRecorder } from '../support/transport-recorder.ts';

const PATH = '/v1/data-channel/me@example.com-0a%2fB?role=publish_subscribe&cell-number=ab+/c==';

interface Opened {
  readonly transport: Transport;
  readonly events: TransportRecorder;
}

function open(url: string, env: NodeJS.ProcessEnv = {}, options: Partial<WebSocketOptions> = {}): Opened {
  const connect = createWebSocketConnect({
    network: createNetwork(env),
    sign: () => Promise.resolve(undefined),
    log: silentLog,
    ...options,
  });
  const events = new TransportRecorder();
  return { transport: connect(url, events), events };
}

async function failure(opened: Opened): Promise<ProxyError> {
  const { error } = await opened.events.close();
  assert.ok(error instanceof ProxyError);
  assert.deepEqual(opened.events.events, ['close']);
  return error;
}

describe('opening', () => {
  it('sends path and query byte for byte, and nothing that was not asked for', async () => {
    await using server = await serveWebSocket(() => undefined);
    const { events, transport } = open(`${server.url}${PATH}`);
    await events.until(() => events.isOpen);
    const [request] = server.upgrades;
    assert.equal(request?.url, PATH);
    assert.equal(request?.headers.host, `127.0.0.1:${String(server.port)}`);
    assert.deepEqual(Object.keys(request?.headers ?? {}).sort(), [
      'connection',
      'host',
      'sec-websocket-key',
      'sec-websocket-version',
      'upgrade',
    ]);
    transport.destroy();
    await events.close();
  });

  it('signs each connect anew, for the URL as it is', async () => {
    await using server = await serveWebSocket(() => undefined);
    const signed: string[] = [];
    const sign = (url: string) => {
      signed.push(url);
      return Promise.resolve({ authorization: `AWS4 ${String(signed.length)}`, 'x-amz-date': 'now' });
    };
    for (const expected of ['AWS4 1', 'AWS4 2']) {
      const { events, transport } = open(`${server.url}${PATH}`, {}, { sign });
      await events.until(() => events.isOpen);
      assert.equal(server.upgrades.at(-1)?.headers.authorization, expected);
      transport.destroy();
      await events.close();
    }
    assert.deepEqual(signed, [`${server.url}${PATH}`, `${server.url}${PATH}`]);
  });

  it('tells no event before the caller has its transport', async () => {
    await using server = await serveWebSocket(() => undefined);
    const { events, transport } = open('ftp://x');
    assert.deepEqual(events.events, []);
    assert.equal((await failure({ events, transport })).code, 'CHANNEL_OPEN_FAILED');
    assert.equal(server.upgrades.length, 0);
  });

  it('refuses ws: to another machine', async () => {
    const opened = open('ws://10.255.255.1/v1/x?secret');
    const error = await failure(opened);
    assert.equal(error.code, 'CHANNEL_OPEN_FAILED');
    assert.match(error.message, /10\.255\.255\.1 is not encrypted/);
    assert.doesNotMatch(error.message, /secret/);
  });

  it('fails with the error of the signing', async () => {
    const sign = () => Promise.reject(new ProxyError('CONFIG_INVALID', 'broken profile'));
    const error = await failure(open('ws://127.0.0.1:1/', {}, { sign }));
    assert.equal(error.code, 'CONFIG_INVALID');
  });

  for (const [status, code] of [
    [403, 'ACCESS_DENIED'],
    [401, 'ACCESS_DENIED'],
    [500, 'CHANNEL_OPEN_FAILED'],
    [302, 'CHANNEL_OPEN_FAILED'],
  ] as const) {
    it(`refused with ${String(status)} is ${code}, with the status and AWS's words`, async () => {
      const body = '{"message":"User is not authorized to perform: ssmmessages:OpenDataChannel"}';
      await using server = await serveWebSocket(() => undefined, {
        onUpgrade: (_request, socket) => {
          socket.end(
            `HTTP/1.1 ${String(status)} No\r\nContent-Length: ${String(body.length)}\r\n\r\n${body}`,
          );
          return true;
        },
      });
      const opened = open(`${server.url}${PATH}`);
      const error = await failure(opened);
      assert.equal(error.code, code);
      assert.equal(opened.events.closed?.httpStatus, status);
      assert.match(error.message, new RegExp(`HTTP ${String(status)} User is not authorized`));
      assert.doesNotMatch(error.message, /cell-number/);
    });
  }

  it('refused with an endless page ends all the same', async () => {
    await using server = await serveWebSocket(() => undefined, {
      onUpgrade: (_request, socket) => {
        socket.write('HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n');
        const more = (): void => {
          if (!socket.destroyed) socket.write(`2000\r\n${'x'.repeat(0x2000)}\r\n`, more);
        };
        more();
        return true;
      },
    });
    const error = await failure(open(server.url));
    assert.equal(error.code, 'ACCESS_DENIED');
    assert.ok(error.message.length < 500);
  });

  it('of a closed port is ENDPOINT_UNREACHABLE', async () => {
    const error = await failure(open(`ws://127.0.0.1:${String(await closedPort())}/`));
    assert.equal(error.code, 'ENDPOINT_UNREACHABLE');
    assert.match(error.message, /cannot reach 127\.0\.0\.1:\d+: connection refused \(ECONNREFUSED\)/);
  });

  it('of a name that does not exist is ENDPOINT_UNREACHABLE', async () => {
    const error = await failure(open('wss://ssmmessages.nowhere.invalid/'));
    assert.equal(error.code, 'ENDPOINT_UNREACHABLE');
    assert.match(error.message, /ssmmessages\.nowhere\.invalid:443/);
  });

  it('ends within its timeout when nobody answers', async () => {
    await using server = await serveSilence();
    const error = await failure(open(`ws://127.0.0.1:${String(server.port)}/`, {}, { openTimeoutMs: 50 }));
    assert.equal(error.code, 'ENDPOINT_UNREACHABLE');
    assert.match(error.message, /timed out/);
  });

  it('ends within its timeout when signing does not', async () => {
    const sign = () => new Promise<undefined>(() => undefined);
    const error = await failure(open('ws://127.0.0.1:1/', {}, { sign, openTimeoutMs: 50 }));
    assert.equal(error.code, 'ENDPOINT_UNREACHABLE');
  });

  it('is over when it is destroyed, at any time', async () => {
    await using server = await serveWebSocket(() => undefined);
    let finishSigning = (): void => undefined;
    const sign = () => new Promise<undefined>((resolve) => (finishSigning = () => resolve(undefined)));
    const signing = open(server.url, {}, { sign });
    signing.transport.destroy();
    signing.transport.destroy();
    finishSigning();
    await signing.events.close();
    const connecting = open(server.url);
    connecting.transport.close();
    await connecting.events.close();
    for (const { events } of [signing, connecting]) {
      assert.deepEqual(events.events, ['close']);
      assert.equal(events.closed?.error, undefined);
    }
  });
});

describe('an open connection', () => {
  it('carries messages whole and in order, both ways', async () => {
    await using server = await serveWebSocket((socket) => {
      socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
    });
    const { events, transport } = open(server.url);
    await events.until(() => events.isOpen);
    transport.sendText('{"token":1}');
    const sent = [
      Buffer.alloc(0),
      Buffer.from([0x0a]),
      randomBytes(125),
      randomBytes(126),
      randomBytes(70_000),
    ];
    const copies = sent.map((message) => Buffer.from(message));
    transport.send(sent);
    await events.until(() => events.messages.length === 6);
    assert.deepEqual(
      events.events.filter((event) => event !== 'drain'),
      ['open', 'text', ...Array<string>(5).fill('binary')],
    );
    assert.deepEqual(events.messages.slice(1), copies);
    assert.deepEqual(sent, copies, 'what was sent is the caller’s and stays as it is');
    transport.close();
    await events.close();
  });

  it('joins fragments', async () => {
    await using server = await serveWebSocket((socket) => {
      socket.send('first ', { binary: true, fin: false });
      socket.send('second', { binary: true, fin: true });
    });
    const { events, transport } = open(server.url);
    await events.until(() => events.messages.length === 1);
    assert.equal(events.messages[0]?.toString(), 'first second');
    transport.destroy();
    await events.close();
  });

  it('gives away buffers that are not written again', async () => {
    const message = randomBytes(1000);
    await using server = await serveWebSocket((socket) => {
      for (let i = 0; i < 500; i += 1) socket.send(message);
    });
    const { events, transport } = open(server.url);
    await events.until(() => events.messages.length === 500);
    assert.ok(events.messages.every((received) => received.equals(message)));
    transport.destroy();
    await events.close();
  });

  it('pings and tells the pong', async () => {
    await using server = await serveWebSocket(() => undefined);
    const { events, transport } = open(server.url);
    await events.until(() => events.isOpen);
    transport.ping();
    await events.until(() => events.pongs === 1);
    transport.destroy();
    await events.close();
  });

  it('counts what the peer does not take, and tells when it is gone', async () => {
    let total = 0;
    const hash = createHash('sha256');
    await using server = await serveWebSocket((socket) => {
      socket.pause();
      socket.on('message', (data) => {
        total += (data as Buffer).length;
        hash.update(data as Buffer);
      });
    });
    const { events, transport } = open(server.url);
    await events.until(() => events.isOpen && server.sockets.length === 1);
    assert.equal(transport.bufferedBytes, 0);
    const expected = createHash('sha256');
    let sent = 0;
    // More than the kernel holds for the two sockets.
    while (transport.bufferedBytes < 4_000_000) {
      const batch = Array.from({ length: 16 }, () => randomBytes(16_384));
      for (const message of batch) {
        expected.update(message);
        sent += message.length;
      }
      transport.send(batch);
    }
    assert.equal(events.drains, 0);
    server.sockets[0]?.resume();
    await events.until(() => events.drains === 1);
    assert.equal(transport.bufferedBytes, 0);
    transport.close();
    await events.close();
    assert.equal(total, sent);
    assert.equal(hash.digest('hex'), expected.digest('hex'));
    assert.equal(events.drains, 1);
  });

  it('stops reading while it is paused, and loses nothing', async () => {
    const accepted: number[] = [];
    const message = randomBytes(64 * 1024);
    const count = 400;
    await using server = await serveWebSocket((socket) => {
      const index = accepted.push(0) - 1;
      for (let i = 0; i < count; i += 1) socket.send(message, () => (accepted[index] = i + 1));
    });
    const { events, transport } = open(server.url);
    await events.until(() => events.messages.length > 0);
    transport.pause();
    // A second connection takes everything meanwhile.
    const probe = open(server.url);
    await probe.events.until(() => probe.events.messages.length === count);
    assert.ok(events.messages.length < count);
    assert.ok((accepted[0] ?? count) < count, 'backpressure reaches the peer');
    transport.resume();
    await events.until(() => events.messages.length === count);
    assert.equal(events.receivedBytes, count * message.length);
    transport.destroy();
    probe.transport.destroy();
    await Promise.all([events.close(), probe.events.close()]);
  });

  it('takes no message above the limit', async () => {
    await using server = await serveWebSocket((socket) => socket.send(Buffer.alloc(MAX_MESSAGE_BYTES + 1)));
    const { events } = open(server.url);
    const { error } = await events.close();
    assert.ok(error instanceof ProxyError);
    assert.equal(events.messages.length, 0);
    assert.match(error.message, /size/i);
  });

  for (const [code, reason] of [
    [1000, 'Bye'],
    [1011, ''],
    [4001, 'token'],
  ] as const) {
    it(`tells the close code ${String(code)} and its reason, and that is no error`, async () => {
      await using server = await serveWebSocket((socket) => socket.close(code, reason));
      const { events } = open(server.url);
      assert.deepEqual(await events.close(), { code, reason, error: undefined });
      assert.deepEqual(events.events, ['open', 'close']);
    });
  }

  it('that is cut is 1006', async () => {
    await using server = await serveWebSocket((socket) => socket.terminate());
    const { events } = open(server.url);
    assert.equal((await events.close()).code, 1006);
  });

  it('that gets rubbish ends with an error', async () => {
    await using server = await serveWebSocket((_socket, request) => {
      request.socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    });
    const { events } = open(server.url);
    const { error } = await events.close();
    assert.ok(error instanceof ProxyError);
    assert.equal(error.code, 'SESSION_LOST');
    assert.match(error.message, /invalid WebSocket frame/i);
  });
});

describe('closing', () => {
  it('says 1000 and waits for the answer', async () => {
    const codes: number[] = [];
    await using server = await serveWebSocket((socket) => socket.on('close', (code) => codes.push(code)));
    const { events, transport } = open(server.url);
    await events.until(() => events.isOpen);
    transport.close();
    transport.close();
    assert.deepEqual(await events.close(), { code: 1000, reason: '', error: undefined });
    assert.deepEqual(codes, [1000]);
    transport.close();
    transport.destroy();
    assert.equal(events.closes, 1);
  });

  it('delivers what was sent before', async () => {
    const received: string[] = [];
    await using server = await serveWebSocket((socket) => {
      socket.on('message', (data) => received.push((data as Buffer).toString()));
    });
    const { events, transport } = open(server.url);
    await events.until(() => events.isOpen);
    transport.send([Buffer.from('last'), Buffer.from('words')]);
    transport.close();
    await events.close();
    assert.deepEqual(received, ['last', 'words']);
  });

  it('of a peer that does not answer takes no longer than the close timeout', async () => {
    await using server = await serveWebSocket((_socket, request) => {
      request.socket.pause();
      request.socket.removeAllListeners('data');
    });
    const { events, transport } = open(server.url, {}, { closeTimeoutMs: 30 });
    await events.until(() => events.isOpen);
    transport.close();
    assert.equal((await events.close()).code, 1006);
  });

  it('works while paused, and no message arrives any more', async () => {
    await using server = await serveWebSocket((socket) => {
      for (let i = 0; i < 100; i += 1) socket.send(Buffer.alloc(1000));
    });
    const { events, transport } = open(server.url);
    await events.until(() => events.isOpen);
    transport.pause();
    const before = events.messages.length;
    transport.close();
    assert.equal((await events.close()).code, 1000);
    assert.equal(events.messages.length, before);
  });

  it('leaves calls on a closed transport without effect', async () => {
    await using server = await serveWebSocket(() => undefined);
    const { events, transport } = open(server.url);
    await events.until(() => events.isOpen);
    transport.destroy();
    transport.send([Buffer.from('x')]);
    transport.sendText('x');
    transport.ping();
    transport.pause();
    transport.resume();
    await events.close();
    transport.send([Buffer.from('x')]);
    assert.equal(transport.bufferedBytes, 0);
    assert.equal(events.closes, 1);
  });
});

describe('TLS and proxies', () => {
  let tls: TlsMaterial;
  let home: AwsHome;
  let caFile: string;
  before(async () => {
    tls = await createTlsMaterial(Date.now());
    home = createAwsHome();
    caFile = home.write('ca.pem', tls.authority);
  });
  after(() => home[Symbol.dispose]());
  const echo = () =>
    serveWebSocket((socket) => socket.on('message', (data) => socket.send(data as Buffer)), {
      certificate: tls,
    });

  it('a certificate that is not trusted is TLS_UNTRUSTED', async () => {
    await using server = await echo();
    const error = await failure(open(server.url));
    assert.equal(error.code, 'TLS_UNTRUSTED');
    assert.match(error.message, new RegExp(`localhost:${String(server.port)} is not trusted`));
    assert.match(error.hint ?? '', /AWS_CA_BUNDLE/);
  });

  it('a certificate for another name is TLS_UNTRUSTED', async () => {
    await using server = await echo();
    await using proxy = await serveProxy(() => ({ port: server.port }));
    const opened = open('wss://other.example.com/', { AWS_CA_BUNDLE: caFile, HTTPS_PROXY: proxy.url });
    assert.equal((await failure(opened)).code, 'TLS_UNTRUSTED');
  });

  it('AWS_CA_BUNDLE is trusted, and messages of all sizes pass', async () => {
    await using server = await echo();
    const { events, transport } = open(`${server.url}${PATH}`, { AWS_CA_BUNDLE: caFile });
    await events.until(() => events.isOpen);
    assert.equal(server.upgrades[0]?.url, PATH);
    const sent = [randomBytes(10), randomBytes(1000), randomBytes(300_000)];
    transport.send(sent);
    await events.until(() => events.messages.length === 3);
    assert.deepEqual(events.messages, sent);
    transport.close();
    assert.equal((await events.close()).code, 1000);
  });

  it('what the peer does not take is counted through TLS too', async () => {
    await using server = await serveWebSocket((socket) => socket.pause(), { certificate: tls });
    const { events, transport } = open(server.url, { AWS_CA_BUNDLE: caFile });
    await events.until(() => events.isOpen && server.sockets.length === 1);
    while (transport.bufferedBytes < 4_000_000)
      transport.send([Buffer.alloc(100_000), Buffer.alloc(100_000)]);
    server.sockets[0]?.resume();
    await events.until(() => events.drains === 1);
    assert.equal(transport.bufferedBytes, 0);
    transport.destroy();
    await events.close();
  });

  for (const [name, content] of [
    ['that does not exist', undefined],
    ['without a certificate', 'hello'],
    ['with a broken one', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ] as const) {
    it(`a bundle ${name} is CONFIG_INVALID and named`, async () => {
      const file = content === undefined ? '/nonexistent/ca.pem' : home.write('bad.pem', content);
      const error = await failure(open('wss://localhost:1/', { AWS_CA_BUNDLE: file }));
      assert.equal(error.code, 'CONFIG_INVALID');
      assert.ok(error.message.includes(file));
    });
  }

  it('a bundle is not read for a connection without TLS', async () => {
    await using server = await serveWebSocket(() => undefined);
    const { events, transport } = open(server.url, { AWS_CA_BUNDLE: '/nonexistent/ca.pem' });
    await events.until(() => events.isOpen);
    transport.destroy();
    await events.close();
  });

  it('a proxy is asked to CONNECT, with user and password', async () => {
    await using server = await echo();
    await using proxy = await serveProxy(() => ({ port: server.port }));
    const env = { AWS_CA_BUNDLE: caFile, HTTPS_PROXY: proxy.url.replace('http://', 'http://user:p%40ss@') };
    // The certificate names localhost, which is never proxied; its other spelling is.
    const { events, transport } = open(`wss://localhost.:${String(server.port)}${PATH}`, env);
    await events.until(() => events.isOpen || events.closed !== undefined);
    assert.equal(proxy.connects.length, 1);
    assert.equal(proxy.connects[0]?.target, `localhost.:${String(server.port)}`);
    assert.equal(proxy.connects[0]?.authorization, `Basic ${Buffer.from('user:p@ss').toString('base64')}`);
    transport.send([Buffer.from('through')]);
    await events.until(() => events.messages.length === 1);
    assert.equal(server.upgrades[0]?.url, PATH);
    transport.close();
    assert.equal((await events.close()).code, 1000);
  });

  it('a proxy that hangs up in the middle is ENDPOINT_UNREACHABLE', async () => {
    for (const answer of ['', 'HTTP/1.1 200 Connection established\r\n\r\n', 'SSH-2.0-nothing\r\n']) {
      await using broken = await serveRaw(answer);
      const env = { HTTPS_PROXY: `http://127.0.0.1:${String(broken.port)}` };
      const error = await failure(open('wss://ssmmessages.example.com/', env));
      assert.match(error.code, /^(ENDPOINT_UNREACHABLE|CHANNEL_OPEN_FAILED)$/, answer);
      assert.doesNotMatch(error.message, /undefined/);
    }
  });

  it('an open connection through a proxy ends when it is destroyed', async () => {
    await using server = await echo();
    await using proxy = await serveProxy(() => ({ port: server.port }));
    const env = { AWS_CA_BUNDLE: caFile, HTTPS_PROXY: proxy.url };
    const { events, transport } = open(`wss://localhost.:${String(server.port)}/`, env);
    await events.until(() => events.isOpen && server.sockets.length === 1);
    const gone = new Promise((resolve) => server.sockets[0]?.once('close', resolve));
    transport.destroy();
    assert.equal((await events.close()).error, undefined);
    await gone;
  });

  it('a proxy may speak TLS itself, and is checked against the bundle too', async () => {
    await using server = await echo();
    await using proxy = await serveProxy(() => ({ port: server.port }), tls);
    const url = `wss://localhost.:${String(server.port)}${PATH}`;
    const { events, transport } = open(url, { AWS_CA_BUNDLE: caFile, HTTPS_PROXY: proxy.url });
    await events.until(() => events.isOpen);
    assert.equal(proxy.connects.length, 1);
    transport.destroy();
    await events.close();
    const error = await failure(open(url, { HTTPS_PROXY: proxy.url }));
    assert.equal(error.code, 'TLS_UNTRUSTED');
    assert.equal(proxy.connects.length, 1);
  });

  it('NO_PROXY goes past the proxy', async () => {
    await using proxy = await serveProxy(() => ({ status: 500 }));
    const env = { HTTPS_PROXY: proxy.url, NO_PROXY: 'example.com,nowhere.invalid' };
    const error = await failure(open('wss://ssmmessages.nowhere.invalid/', env));
    assert.equal(error.code, 'ENDPOINT_UNREACHABLE');
    assert.doesNotMatch(error.message, /proxy/);
    assert.equal(proxy.connects.length, 0);
  });

  it('a proxy that refuses is named, with its status', async () => {
    await using proxy = await serveProxy(() => ({ status: 407 }));
    const error = await failure(open('wss://ssmmessages.example.com/', { HTTPS_PROXY: proxy.url }));
    assert.equal(error.code, 'ENDPOINT_UNREACHABLE');
    assert.match(
      error.message,
      /cannot reach ssmmessages\.example\.com:443: the HTTP proxy 127\.0\.0\.1:\d+ answered 407/,
    );
  });

  it('a proxy that is not there is named', async () => {
    const env = { HTTPS_PROXY: `http://127.0.0.1:${String(await closedPort())}` };
    const error = await failure(open('wss://ssmmessages.example.com/', env));
    assert.equal(error.code, 'ENDPOINT_UNREACHABLE');
    assert.match(error.message, /through the HTTP proxy 127\.0\.0\.1:\d+: connection refused/);
  });

  it('a proxy that never answers is left, and its connection dropped', async () => {
    await using silent = await serveSilence();
    const env = { HTTPS_PROXY: `http://127.0.0.1:${String(silent.port)}` };
    const opened = open('wss://ssmmessages.example.com/', env, { openTimeoutMs: 100 });
    assert.match((await failure(opened)).message, /through the HTTP proxy .*timed out/);
    while (silent.sockets.size > 0) await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('the log', () => {
  it('holds neither path nor query of the URL', async () => {
    await using server = await serveWebSocket((socket) => socket.close(1000, 'Bye'));
    const lines: string[] = [];
    const log = createLog(
      'trace',
      (line) => lines.push(line),
      () => 0,
    );
    const { events } = open(`${server.url}${PATH}`, {}, { log });
    await events.close();
    assert.ok(lines.length >= 2);
    assert.doesNotMatch(lines.join('\n'), /data-channel|cell-number/);
  });
});
