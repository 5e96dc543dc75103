/** Local TCP ports and Unix sockets that connections to be forwarded come in by. */
import * as net from 'node:net';
import { ProxyError } from '../errors.ts';
import { UnixSocketPlace } from './unix-socket.ts';

export type ListenAddress =
  /** `host`: an address or name of this machine, `*` for all; port 0: one that is free. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface Listener {
  /** Where it listens, with the port that was found. */
  readonly address: ListenAddress;
  /** Accepts no more, and removes a Unix socket. */
  close(): void;
}

/** Only this machine, as with ssh. */
export const DEFAULT_BIND = '127.0.0.1';

/** `onSocket` gets connections paused and half-open, with an `error` listener. Rejects with LISTEN_FAILED. */
export async function listen(
  address: ListenAddress,
  onSocket: (socket: net.Socket) => void,
): Promise<Listener> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.on('connection', (socket) => {
    // The close that follows tells the rest.
    socket.on('error', () => {});
    onSocket(socket);
  });
  if (address.kind === 'tcp') {
    const { host, port } = address;
    await start(server, { host: host === '*' ? '::' : host, port }, formatAddress(address));
    const bound = server.address();
    const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
    return { address: { ...address, port: boundPort }, close: () => void server.close() };
  }
  const place = await UnixSocketPlace.prepare(address.path);
  try {
    await start(server, { path: place.bindPath }, address.path);
    await place.publish();
  } catch (error) {
    server.close();
    await place.discard();
    throw error;
  }
  return {
    address,
    close: () => {
      server.close();
      place.remove();
    },
  };
}

/** As people write it: `127.0.0.1:8080`, `[::1]:8080`, a path. */
export function formatAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return address.path;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

function start(server: net.Server, options: net.ListenOptions, shown: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(shown, error)));
    server.listen(options, () => {
      // Accepting may fail later (no more descriptors); that one connection is lost, not the listener.
      server.on('error', () => {});
      resolve();
    });
  });
}

function listenError(shown: string, error: NodeJS.ErrnoException): ProxyError {
  const [reason, hint] = LISTEN_ERRORS[error.code ?? ''] ?? [error.message, 'choose another port or path'];
  return new ProxyError('LISTEN_FAILED', `cannot listen on ${shown}: ${reason}`, { hint, cause: error });
}

const LISTEN_ERRORS: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  EADDRINUSE: ['it is in use', 'end what listens there, or choose another port; port 0 finds one'],
  EACCES: ['permission denied', 'ports below 1024 are for root: choose one above'],
  EADDRNOTAVAIL: ['this machine has no such address', 'leave the address out for 127.0.0.1'],
  ENOTFOUND: ['this machine has no such address', 'leave the address out for 127.0.0.1'],
};
