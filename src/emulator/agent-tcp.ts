/**
 * TCP as the real agent's Go runtime offers it: dial with Go's error texts, a write that blocks, a close that lets
 * the kernel deliver what was written (protocol.md 4.8, 6.5).
 */
import * as net from 'node:net';
import type { Duplex, Writable } from 'node:stream';
import type { Clock } from '../clock.ts';
import type { PendingVerdict } from './agent-channel.ts';
import type { DialAddress } from './agent-link.ts';

/**
 * Unwritten bytes above which a write counts as blocked. With the kernel's own buffers that comes to about the
 * 8.5 MB that a stalled server absorbed from a real agent on loopback.
 */
export const BLOCKED_WRITE_BYTES = 4 * 1024 * 1024;
/** How long a closed connection may still deliver what was written. */
const LINGER_MS = 5000;

/** Errors of connect(2) in Go's words. */
const DIAL_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'connect: connection timed out',
  ENOENT: 'connect: no such file or directory',
};

/** What the agent was asked for, as it would show it. */
export interface DialTarget {
  readonly host: string | undefined;
  readonly port: number;
}

/** What the agent needs of a TCP connection. */
export interface NodeConnection extends Duplex {
  /** Ends it once everything written has left. */
  destroySoon(): void;
}

export type DialResult = { readonly socket: NodeConnection } | { readonly error: string };

/** How to connect: `dial`, or what a test has instead. */
export type Dial = (address: DialAddress, target: DialTarget, signal: AbortSignal) => Promise<DialResult>;

/**
 * Connects to `address`; resolves with Go's text of the error when that fails, never rejects. The socket has no
 * reader yet and is half-open: the end of the server's data does not close it. Aborted: destroyed, with an error.
 */
export function dial(address: DialAddress, target: DialTarget, signal: AbortSignal): Promise<DialResult> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve({ error: 'operation was canceled' });
      return;
    }
    const socket = net.connect({
      host: address.host,
      port: address.port,
      allowHalfOpen: true,
      noDelay: true,
    });
    socket.pause();
    const abort = (): void => {
      socket.destroy();
      resolve({ error: 'operation was canceled' });
    };
    signal.addEventListener('abort', abort, { once: true });
    // One listener stays for the socket's life: its reader learns of errors by the close that follows.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      signal.removeEventListener('abort', abort);
      const reason = DIAL_ERRORS[error.code ?? ''] ?? `connect: ${error.message}`;
      resolve({ error: `dial tcp ${shownAddress(target)}: ${reason}` });
    });
    socket.once('connect', () => {
      signal.removeEventListener('abort', abort);
      resolve({ socket });
    });
  });
}

function shownAddress(target: DialTarget): string {
  const host = target.host ?? '127.0.0.1';
  return host.includes(':') ? `[${host}]:${target.port}` : `${host}:${target.port}`;
}

/**
 * A blocking write, to a socket or a pipe: `refused` when the other end is gone; a promise while it takes nothing
 * and `limitBytes` wait already.
 */
export function writeBlocking(
  stream: Writable,
  data: Buffer,
  limitBytes: number = BLOCKED_WRITE_BYTES,
): PendingVerdict {
  if (!stream.writable) return 'refused';
  if (stream.write(data) || stream.writableLength < limitBytes) return 'handled';
  return new Promise((resolve) => {
    const settle = (): void => {
      stream.off('drain', settle);
      stream.off('close', settle);
      resolve(stream.destroyed ? 'refused' : 'handled');
    };
    stream.on('drain', settle);
    stream.on('close', settle);
  });
}

/** close(2): no more reading; what was written is still delivered, within a bound. */
export function closeConnection(socket: NodeConnection, clock: Clock): void {
  if (socket.destroyed) return;
  if (socket.writableLength === 0) {
    socket.destroy();
    return;
  }
  const linger = clock.setTimer(LINGER_MS, () => socket.destroy());
  socket.once('close', () => linger.cancel());
  socket.destroySoon();
}
