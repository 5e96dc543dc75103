/**
 * The one TCP listener of the emulator, on loopback only. It can be slow or silent toward new connections, knows
 * every open socket, and hands them to the HTTP or HTTPS server behind it.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import * as net from 'node:net';
import type { Clock } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import type { Faults } from './faults.ts';

export interface ServerCertificate {
  /** PEM. */
  readonly certificate: string;
  readonly privateKey: string;
}

export class FrontDoor {
  /** Takes 'request' and 'upgrade' listeners. */
  readonly http: http.Server;
  readonly #listener: net.Server;
  readonly #sockets = new Set<net.Socket>();

  constructor(certificate: ServerCertificate | undefined, clock: Clock, faults: () => Readonly<Faults>) {
    this.http =
      certificate === undefined
        ? http.createServer()
        : https.createServer({ cert: certificate.certificate, key: certificate.privateKey });
    this.#listener = net.createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      const { silent, delayMs } = faults().accept;
      if (silent) {
        // Read and forgotten, so that the client's end is noticed.
        socket.resume();
        return;
      }
      const open = (): void => {
        if (socket.destroyed) return;
        this.http.emit('connection', socket);
        socket.resume();
      };
      if (delayMs > 0) clock.setTimer(delayMs, open);
      else open();
    });
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  /** Resolves to the port. */
  async listen(port: number): Promise<number> {
    await listenOnLoopback(this.#listener, port);
    return listeningPort(this.#listener);
  }

  /** Ends every connection, idle ones included. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await closeListener(this.#listener);
  }
}

/** Listens on 127.0.0.1. Throws USAGE when the port cannot be had. */
export function listenOnLoopback(server: net.Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new ProxyError('USAGE', `the emulator cannot listen on 127.0.0.1:${port}: ${cause.message}`, {
          cause,
        }),
      );
    });
    server.listen(port, '127.0.0.1', resolve);
  });
}

export function listeningPort(server: net.Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new ProxyError('INTERNAL', 'the emulator does not listen');
  return address.port;
}

export function closeListener(server: net.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
