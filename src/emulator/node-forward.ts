/**
 * Port and socket forwards of an emulated node's SSH server: -L and -W (the client asks us to connect), -R (the
 * client asks us to listen; on loopback only). Half-closes are passed on in both directions.
 */
import * as net from 'node:net';
import type { Connection, ServerChannel } from 'ssh2';
import type { Log } from '../log.ts';

/** Listeners one connection may have. */
const MAX_LISTENERS = 64;

export interface ForwardOptions {
  readonly connection: Connection;
  /** Where a host and port of the node's own world are on this machine. */
  readonly dialAddress: (host: string, port: number) => { readonly host: string; readonly port: number };
  readonly log: Log;
}

/** Answers forward requests until the connection is closed. */
export function serveForwards(options: ForwardOptions): void {
  const { connection, log } = options;
  connection.on('tcpip', (accept, reject, info) => {
    const address = options.dialAddress(info.destIP, info.destPort);
    log.debug('forward', { port: info.destPort });
    joinWhenConnected(net.connect({ ...address, allowHalfOpen: true, noDelay: true }), accept, reject);
  });
  connection.on('openssh.streamlocal', (accept, reject, info) => {
    joinWhenConnected(net.connect({ path: info.socketPath, allowHalfOpen: true }), accept, reject);
  });
  serveListeners(connection, log);
}

function joinWhenConnected(
  socket: net.Socket,
  accept: () => ServerChannel | undefined,
  reject: () => void,
): void {
  socket.once('error', () => reject());
  socket.once('connect', () => {
    const channel = accept();
    if (channel === undefined) socket.destroy();
    else join(socket, channel);
  });
}

/** Two streams as one connection. ssh2 closes a server's channel when it is ended, so its EOF is sent by hand. */
function join(socket: net.Socket, channel: ServerChannel): void {
  socket.on('error', () => channel.close());
  channel.on('error', () => socket.destroy());
  socket.pipe(channel, { end: false });
  channel.pipe(socket);
  socket.once('end', () => {
    channel.write(Buffer.alloc(0), () => channel.eof());
  });
  socket.once('close', () => channel.close());
  channel.once('close', () => socket.destroySoon());
}

type Forward =
  | { readonly kind: 'tcp'; readonly bindAddr: string; readonly bindPort: number }
  | { readonly kind: 'socket'; readonly socketPath: string };

function serveListeners(connection: Connection, log: Log): void {
  const listeners = new Map<string, net.Server>();
  connection.on('request', (accept: unknown, reject: unknown, name: string, info: unknown) => {
    const refuse = (): void => call(reject);
    const forward = parseForward(name, info);
    if (forward === undefined) {
      refuse();
      return;
    }
    const key = keyOf(forward);
    const existing = listeners.get(key);
    if (name.startsWith('cancel-')) {
      if (existing === undefined) refuse();
      else {
        listeners.delete(key);
        existing.close(() => {});
        call(accept);
      }
      return;
    }
    if (existing !== undefined || listeners.size >= MAX_LISTENERS) {
      refuse();
      return;
    }
    const server = net.createServer({ allowHalfOpen: true, noDelay: true });
    server.once('error', refuse);
    const listening = (): void => {
      const bound = server.address();
      const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
      const actual: Forward = forward.kind === 'tcp' ? { ...forward, bindPort: port } : forward;
      listeners.set(keyOf(actual), server);
      server.on('connection', (socket) => forwardBack(connection, actual, socket));
      log.debug('listen', { port });
      call(accept, port);
    };
    if (forward.kind === 'tcp') server.listen(forward.bindPort, '127.0.0.1', listening);
    else server.listen(forward.socketPath, listening);
  });
  connection.once('close', () => {
    for (const server of listeners.values()) server.close(() => {});
    listeners.clear();
  });
}

function forwardBack(connection: Connection, forward: Forward, socket: net.Socket): void {
  socket.on('error', () => socket.destroy());
  const opened = (error: Error | undefined, channel: ServerChannel): void => {
    if (error === undefined) join(socket, channel);
    else socket.destroy();
  };
  if (forward.kind === 'tcp') {
    const remote = { address: socket.remoteAddress ?? '127.0.0.1', port: socket.remotePort ?? 0 };
    connection.forwardOut(forward.bindAddr, forward.bindPort, remote.address, remote.port, opened);
  } else {
    connection.openssh_forwardOutStreamLocal(forward.socketPath, opened);
  }
}

function parseForward(name: string, info: unknown): Forward | undefined {
  if (typeof info !== 'object' || info === null) return undefined;
  const { bindAddr, bindPort, socketPath } = info as Record<string, unknown>;
  if (name.endsWith('tcpip-forward') && typeof bindAddr === 'string' && typeof bindPort === 'number') {
    return { kind: 'tcp', bindAddr, bindPort };
  }
  if (name.endsWith('streamlocal-forward@openssh.com') && typeof socketPath === 'string') {
    return { kind: 'socket', socketPath };
  }
  return undefined;
}

function keyOf(forward: Forward): string {
  return forward.kind === 'tcp' ? `${forward.bindAddr}:${forward.bindPort}` : forward.socketPath;
}

/** Requests that want no reply come without these functions. */
function call(reply: unknown, argument?: number): void {
  if (typeof reply === 'function') (reply as (argument?: number) => void)(argument);
}
