/**
 * A path with a round-trip time: a TCP relay on loopback that holds every chunk for half of it in each direction, in
 * order, and a new connection for one whole round trip more, which stands for SYN and SYN-ACK.
 */
import { once } from 'node:events';
import * as net from 'node:net';

export interface DelayedPath {
  readonly port: number;
  roundTripMs: number;
  close(): void;
}

/** `destination`: port on 127.0.0.1. */
export async function startDelayedPath(destination: number): Promise<DelayedPath> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true, allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const path = {
    port: (server.address() as net.AddressInfo).port,
    roundTripMs: 0,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
  server.on('connection', (client: net.Socket) => {
    const { roundTripMs } = path;
    const upstream = net.connect({
      port: destination,
      host: '127.0.0.1',
      noDelay: true,
      allowHalfOpen: true,
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    // What a client sends waits until it would know that it is connected.
    const connectedAt = performance.now() + roundTripMs;
    carry(client, upstream, roundTripMs / 2, connectedAt);
    carry(upstream, client, roundTripMs / 2, connectedAt);
  });
  return path;
}

function carry(from: net.Socket, to: net.Socket, delayMs: number, notBefore: number): void {
  let lastAt = notBefore;
  const later = (action: () => void): void => {
    // Timers of equal time fire in the order of their making.
    lastAt = Math.max(lastAt, performance.now());
    const dueInMs = Math.max(0, lastAt - performance.now()) + delayMs;
    setTimeout(() => {
      if (!to.destroyed) action();
    }, dueInMs);
  };
  from.on('data', (chunk: Buffer) => later(() => to.write(chunk)));
  from.on('end', () => later(() => to.end()));
}
