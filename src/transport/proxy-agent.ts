/**
 * The agent that makes one connection through an HTTP proxy: CONNECT with the proxy URL's user and password, then TLS
 * inside for a target that speaks it. A proxy that refuses is an error of its own; otherwise its 403 or 407 page
 * would be read as an answer of AWS.
 *
 * By Node's own means and not by the https-proxy-agent package: that logs the proxy's URL, password included, to
 * stderr when DEBUG=* is set, and leaves the connection behind when a request is given up before the proxy answers.
 */
import http from 'node:http';
import https from 'node:https';
import { isIPv6 } from 'node:net';
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { PROXY_REFUSED } from './connect-error.ts';

export interface ProxyAgentOptions {
  /** The target behind the proxy speaks TLS. */
  readonly isSecure: boolean;
  /** What the target's certificate, and that of an https proxy, are checked against. */
  readonly secureContext: tls.SecureContext | undefined;
  /** Drops the connection, also while the proxy has not answered: a destroyed request has no socket to drop yet. */
  readonly signal: AbortSignal | undefined;
}

/** What http.Agent asks createConnection with, as far as it matters here. */
interface TargetOptions {
  readonly host: string;
  readonly port: number | string;
  readonly servername?: string;
}

type Done = (error: Error | null, socket?: Socket) => void;

export function createProxyAgent(proxy: URL, options: ProxyAgentOptions): http.Agent {
  const { isSecure, secureContext } = options;
  const createConnection = (target: TargetOptions, done: Done): undefined => {
    connectThrough(proxy, target, options, (error, socket) => {
      if (socket === undefined || !isSecure) return done(error, socket);
      const { host, servername } = target;
      const trust = secureContext === undefined ? {} : { secureContext };
      done(
        null,
        tls.connect({ socket, host, servername: servername ?? host, ALPNProtocols: ['http/1.1'], ...trust }),
      );
    });
  };
  const agent = isSecure ? new https.Agent({ keepAlive: false }) : new http.Agent({ keepAlive: false });
  return Object.assign(agent, { createConnection });
}

function connectThrough(
  proxy: URL,
  target: TargetOptions,
  { secureContext, signal }: ProxyAgentOptions,
  done: Done,
): void {
  const host = isIPv6(target.host) ? `[${target.host}]` : target.host;
  const authority = `${host}:${String(target.port)}`;
  const isSecureProxy = proxy.protocol === 'https:';
  const request = (isSecureProxy ? https : http).request({
    method: 'CONNECT',
    host: proxy.hostname.replace(/^\[|\]$/g, ''),
    port: proxy.port === '' ? (isSecureProxy ? 443 : 80) : Number(proxy.port),
    path: authority,
    headers: { host: authority, ...authorization(proxy) },
    agent: false,
    ...(signal !== undefined && { signal }),
    ...(isSecureProxy && secureContext !== undefined && { secureContext }),
  });
  const fail = (error: Error): void => done(error);
  request.once('error', fail);
  request.once('connect', (response, socket: Socket, head) => {
    request.off('error', fail);
    // An abort later on is an error of this request too, which has done its work.
    request.on('error', () => undefined);
    socket.on('error', () => undefined);
    if (response.statusCode !== 200) {
      socket.destroy();
      const error = new Error(`the HTTP proxy ${proxy.host} answered ${String(response.statusCode)}`);
      return done(Object.assign(error, { code: PROXY_REFUSED }));
    }
    if (head.length > 0) socket.unshift(head);
    // The connection has left the CONNECT request, so the signal does not reach it any more.
    const drop = (): void => void socket.destroy();
    signal?.addEventListener('abort', drop, { once: true });
    socket.once('close', () => signal?.removeEventListener('abort', drop));
    done(null, socket);
  });
  request.end();
}

function authorization(proxy: URL): Record<string, string> {
  if (proxy.username === '' && proxy.password === '') return {};
  const credentials = `${unescape(proxy.username)}:${unescape(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` };
}

/** A `%` that escapes nothing stays one: people forget to escape it. */
function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
