/** An HTTP proxy for tests: answers CONNECT only, sends everything to one address, and keeps what it was asked for. */
import { once } from 'node:events';
import * as http from 'node:http';
import * as net from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

export interface ConnectProxy {
  readonly url: string;
  /** 'host:port' of each CONNECT, in order. */
  readonly asked: readonly string[];
  /** Requests that were no CONNECT. */
  readonly others: readonly string[];
  /** Connections that are open now. */
  readonly openSockets: number;
  /** Answers CONNECT with this status from now on. */
  refuseWith(status: number): void;
  close(): Promise<void>;
}

export async function startConnectProxy(destination: { host: string; port: number }): Promise<ConnectProxy> {
  const asked: string[] = [];
  const others: string[] = [];
  const sockets = new Set<Duplex>();
  let refusal: number | undefined;
  const server = http.createServer((request, response) => {
    others.push(`${request.method} ${request.url}`);
    response.writeHead(405).end();
  });
  server.on('connection', (socket: net.Socket) => keep(socket));
  server.on('connect', (request: http.IncomingMessage, client: Duplex, head: Buffer) => {
    asked.push(request.url ?? '');
    if (refusal !== undefined) {
      client.end(`HTTP/1.1 ${refusal} No\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const upstream = net.connect(destination, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    keep(upstream);
    upstream.once('close', () => client.destroy());
    client.once('close', () => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  function keep(socket: Duplex): void {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    others,
    get openSockets() {
      return sockets.size;
    },
    refuseWith: (status) => {
      refusal = status;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
