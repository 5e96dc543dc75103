/**
 * Connections that are opened before anybody asks for them, while the program is still loading. TCP starts at once, TLS
 * when it is told to; a request that comes for the same host takes the connection over, in whatever state it is. What
 * nobody takes is closed after a while, and nobody hears of its errors: who comes then connects again, and has an error
 * of its own. They never keep the process alive.
 */
import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import type * as Tls from 'node:tls';
import { splitUrl } from './raw-url.ts';

/** Servers close idle connections after some time without a word. Milliseconds. */
const LIFE_MS = 10_000;
/** Of Happy Eyeballs: longest try of one address while there are others. Node's default is 250, less than some round trips. */
const ADDRESS_TRY_MS = 1_000;

interface Prepared {
  readonly hostname: string;
  readonly port: number;
  readonly isSecure: boolean;
  socket: Socket;
  hasTls: boolean;
}

export class PreparedConnections {
  #waiting: Prepared[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** One connection for each URL (http, https, ws or wss). Others are passed over. */
  open(urls: readonly string[]): void {
    for (const url of urls) {
      const target = splitUrl(url);
      if (target === undefined) continue;
      const { hostname, port, scheme } = target;
      const socket = connect({
        ...{ host: hostname, port },
        ...{ autoSelectFamily: true, autoSelectFamilyAttemptTimeout: ADDRESS_TRY_MS },
      });
      socket.setNoDelay(true);
      ignoreErrors(socket);
      socket.unref();
      const isSecure = scheme === 'https' || scheme === 'wss';
      this.#waiting.push({ hostname, port, isSecure, socket, hasTls: false });
    }
    this.#timer ??= setTimeout(() => this.close(), LIFE_MS).unref();
  }

  /** True while one waits for TLS. */
  get needsTls(): boolean {
    return this.#waiting.some(({ isSecure, hasTls }) => isSecure && !hasTls);
  }

  /** Starts TLS, with the checks of any TLS connection. `context`: undefined for Node's own trust. */
  secure(
    { connect: connectTls, createSecureContext }: typeof Tls,
    context: Tls.SecureContext | undefined,
  ): void {
    const secureContext = context ?? createSecureContext();
    for (const each of this.#waiting) {
      const { isSecure, hasTls, socket, hostname } = each;
      if (!isSecure || hasTls || socket.destroyed) continue;
      each.socket = connectTls({
        ...{ socket, host: hostname, secureContext, ALPNProtocols: ['http/1.1'] },
        ...(isIP(hostname) === 0 && { servername: hostname }),
      });
      each.hasTls = true;
      ignoreErrors(each.socket);
      each.socket.unref();
    }
  }

  /** The connection to this place, which is the caller's from now on; undefined when there is none that works. */
  take(hostname: string, port: number, isSecure: boolean): Socket | undefined {
    const found = this.#waiting.find(
      (each) =>
        each.hostname === hostname &&
        each.port === port &&
        each.isSecure === isSecure &&
        each.hasTls === isSecure &&
        !each.socket.destroyed,
    );
    if (found === undefined) return undefined;
    this.#waiting = this.#waiting.filter((each) => each !== found);
    found.socket.ref();
    return found.socket;
  }

  /** Closes what nobody has taken. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { socket } of this.#waiting) socket.destroy();
    this.#waiting = [];
  }
}

/** An error that nobody listens to would end the process. */
function ignoreErrors(socket: Socket): void {
  socket.on('error', () => {});
}
