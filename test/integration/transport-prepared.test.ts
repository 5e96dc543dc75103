/** Connections that are opened ahead: who asks for their host gets them, nobody else, and nobody hears of the others. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import * as net from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { createTlsMaterial } from '../../src/emulator/tls-authority.ts';
import { createNetwork } from '../../src/transport/network.ts';
import type { Network } from '../../src/transport/network.ts';
import { createAwsHome } from '../support/aws-home.ts';
import type { AwsHome } from '../support/aws-home.ts';
import { until } from '../support/until.ts';

let home: AwsHome;
let server: http.Server;
let connections: net.Socket[];
let port: number;

async function serve(made: http.Server): Promise<void> {
  server = made;
  connections = [];
  server.on('connection', (socket: net.Socket) => {
    connections.push(socket);
    socket.on('error', () => {});
  });
  server.on('request', (_request, response: http.ServerResponse) => response.end('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as net.AddressInfo);
}

async function get(network: Network, url: string, isChannel = false): Promise<string> {
  const agent = await network.agentFor(url, { isChannel });
  const { get: send } = url.startsWith('https') ? https : http;
  return new Promise((resolve, reject) => {
    const request = send(url, { agent }, (response) => {
      let text = '';
      response.on('data', (data: Buffer) => (text += data.toString()));
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
  });
}

beforeEach(async () => {
  home = createAwsHome();
  await serve(http.createServer());
});
afterEach(() => {
  server.close();
  for (const socket of connections) socket.destroy();
  home[Symbol.dispose]();
});

const openOnes = (): number => connections.filter(({ destroyed }) => !destroyed).length;

test('the first request for the host takes the connection, the next ones open their own', async () => {
  const network = createNetwork({});
  const url = `http://127.0.0.1:${port}`;
  network.prepare([url]);
  await until('it is connected', () => connections.length === 1);
  assert.equal(await get(network, url, true), 'hello');
  assert.equal(connections.length, 1);
  assert.equal(await get(network, url, true), 'hello');
  assert.equal(connections.length, 2);
  network.close();
});

test('a request may come while the connection is still being made', async () => {
  const network = createNetwork({});
  const url = `http://127.0.0.1:${port}`;
  network.prepare([url]);
  assert.equal(await get(network, url), 'hello');
  assert.equal(connections.length, 1);
  network.close();
});

test('a connection that the server has closed meanwhile is not used', async () => {
  const network = createNetwork({});
  const url = `http://127.0.0.1:${port}`;
  network.prepare([url]);
  await until('it is connected', () => connections.length === 1);
  connections[0]?.resetAndDestroy();
  // The reset has arrived when a connection made after it has.
  const marker = net.connect(port, '127.0.0.1');
  await once(marker, 'connect');
  marker.destroy();
  assert.equal(await get(network, url), 'hello');
  network.close();
});

test('closing closes what nobody took', async () => {
  const network = createNetwork({});
  network.prepare([`http://127.0.0.1:${port}`, `http://127.0.0.1:${port}`]);
  await until('both are connected', () => connections.length === 2);
  network.close();
  await until('both are closed', () => openOnes() === 0);
});

test('nothing is opened for a host behind an HTTP proxy, nor with a proxy setting that cannot be used', async () => {
  for (const proxy of ['http://127.0.0.1:9', 'socks5://127.0.0.1:9']) {
    const network = createNetwork({ HTTP_PROXY: proxy, HTTPS_PROXY: proxy });
    network.prepare(['http://proxied.invalid', 'https://proxied.invalid', 'not a URL']);
    await network.secure();
    network.close();
  }
  assert.equal(connections.length, 0);
});

test('nobody hears of a host that does not exist, or of a port that is closed', async () => {
  const closed = net.createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port: closedPort } = closed.address() as net.AddressInfo;
  closed.close();
  await once(closed, 'close');
  const network = createNetwork({});
  network.prepare([`http://127.0.0.1:${closedPort}`, 'https://does-not-exist.invalid']);
  await network.secure();
  await assert.rejects(get(network, `http://127.0.0.1:${closedPort}`), { code: 'ECONNREFUSED' });
  network.close();
});

test('TLS is started ahead, with its checks: a trusted host answers, another one is refused', async () => {
  server.close();
  const { certificate, privateKey, authority } = await createTlsMaterial(Date.now());
  await serve(https.createServer({ cert: certificate, key: privateKey }));
  const url = `https://127.0.0.1:${port}`;
  const trusting = createNetwork({ AWS_CA_BUNDLE: home.write('ca.pem', authority) });
  trusting.prepare([url]);
  await trusting.secure();
  assert.equal(await get(trusting, url), 'hello');
  assert.equal(connections.length, 1);
  trusting.close();

  const wary = createNetwork({});
  wary.prepare([url]);
  await wary.secure();
  await assert.rejects(get(wary, url), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  wary.close();
});

test('a CA bundle that cannot be used is an error of the request, not of the preparation', async () => {
  const network = createNetwork({ AWS_CA_BUNDLE: '/nonexistent.pem' });
  network.prepare(['https://127.0.0.1:9']);
  await network.secure();
  await assert.rejects(network.agentFor('https://127.0.0.1:9'), { code: 'CONFIG_INVALID' });
  network.close();
});
