/** What is behind the ports of a benchmark's node: a TCP server of this process that does one thing to its connections. */
import { once } from 'node:events';
import * as net from 'node:net';

export interface FarEnd {
  readonly address: { readonly host: string; readonly port: number };
  /** From all connections until now. */
  readonly receivedBytes: number;
  /** Resolves when so many bytes have come, from all connections. */
  received(bytes: number): Promise<void>;
  close(): void;
}

export const GREETING = 'SSH-2.0-bench\r\n';
/** What is written when there is nothing to say. */
const CHUNK = Buffer.alloc(64 * 1024);

export const startEcho = (): Promise<FarEnd> => startFarEnd((socket) => socket.pipe(socket));

/** Says a line as sshd does, then listens. */
export const startGreeter = (): Promise<FarEnd> => startFarEnd((socket) => socket.write(GREETING));

/**
 * Says a line, and at the first byte that it is sent begins to send `bytes` as fast as they are taken. Default: without
 * end.
 */
export const startSource = (bytes = Infinity): Promise<FarEnd> =>
  startFarEnd((socket) => {
    let left = bytes;
    const send = (): void => {
      while (left > 0) {
        const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
        left -= chunk.length;
        if (!socket.write(chunk)) return;
      }
    };
    socket.write(GREETING);
    socket.once('data', () => {
      socket.on('drain', send);
      send();
    });
  });

export async function startFarEnd(serve: (socket: net.Socket) => void): Promise<FarEnd> {
  const sockets = new Set<net.Socket>();
  let receivedBytes = 0;
  let wakers: (() => void)[] = [];
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    socket.on('data', (data: Buffer) => {
      receivedBytes += data.length;
      const woken = wakers;
      wakers = [];
      for (const wake of woken) wake();
    });
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  return {
    address: { host: '127.0.0.1', port },
    get receivedBytes() {
      return receivedBytes;
    },
    async received(bytes) {
      while (receivedBytes < bytes) await new Promise<void>((resolve) => wakers.push(resolve));
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
