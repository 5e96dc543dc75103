/**
 * Small servers on loopback for the AWS edge: an HTTP(S) server that answers what a test says, an HTTP proxy, and a
 * WebSocket server. Each closes everything it has open when disposed of.
 */
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import type { ServerCertificate } from '../../src/emulator/front-door.ts';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** Operation of a JSON 1.1 request (`StartSession`) or of a Query one (`DescribeInstances`), else empty. */
  readonly operation: string;
  /** Of a Query request. */
  readonly parameters: URLSearchParams;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Undefined: no answer at all. */
export type Handler = (request: SeenRequest) => Answer | undefined | Promise<Answer | undefined>;

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly requests: SeenRequest[];
  readonly server: http.Server;
}

export async function serveHttp(handler: Handler, certificate?: ServerCertificate): Promise<TestServer> {
  const requests: SeenRequest[] = [];
  const listener: http.RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const seen = readRequest(request, Buffer.concat(chunks).toString('utf8'));
      requests.push(seen);
      void Promise.resolve(handler(seen)).then((answer) => {
        if (answer === undefined) return;
        response.writeHead(answer.status ?? 200, answer.headers);
        response.end(answer.body ?? '');
      });
    });
  };
  const server =
    certificate === undefined
      ? http.createServer(listener)
      : https.createServer(tlsOptions(certificate), listener);
  const close = closer(server);
  await listen(server);
  const { port } = server.address() as AddressInfo;
  const scheme = certificate === undefined ? 'http' : 'https';
  return {
    url: `${scheme}://127.0.0.1:${String(port)}`,
    port,
    requests,
    server,
    [Symbol.asyncDispose]: close,
  };
}

function readRequest(request: http.IncomingMessage, body: string): SeenRequest {
  const parameters = new URLSearchParams(body);
  const target = request.headers['x-amz-target'];
  const operation =
    typeof target === 'string' ? target.slice(target.indexOf('.') + 1) : parameters.get('Action');
  return {
    method: request.method ?? '',
    url: request.url ?? '',
    headers: request.headers,
    body,
    operation: operation ?? '',
    parameters,
  };
}

/** An answer of the JSON 1.1 protocol. */
export function json(body: unknown, status = 200): Answer {
  return { status, headers: { 'content-type': 'application/x-amz-json-1.1' }, body: JSON.stringify(body) };
}

/** An error of the JSON 1.1 protocol. */
export function jsonError(code: string, message: string, status = 400): Answer {
  return json({ __type: `com.amazonaws.ssm#${code}`, message }, status);
}

export function xml(body: string, status = 200): Answer {
  return { status, headers: { 'content-type': 'text/xml;charset=UTF-8' }, body };
}

export interface WebSocketTestServer extends AsyncDisposable {
  /** `ws://127.0.0.1:port` or `wss://localhost:port`. */
  readonly url: string;
  readonly port: number;
  /** Requests for an upgrade, as they came. */
  readonly upgrades: http.IncomingMessage[];
  readonly sockets: WebSocket[];
}

/**
 * `onUpgrade` may answer by itself: it returns true then. `onConnection` is called for each open WebSocket.
 */
export async function serveWebSocket(
  onConnection: (socket: WebSocket, request: http.IncomingMessage) => void,
  options: {
    readonly certificate?: ServerCertificate;
    readonly onUpgrade?: (request: http.IncomingMessage, socket: Duplex) => boolean;
  } = {},
): Promise<WebSocketTestServer> {
  const { certificate, onUpgrade } = options;
  const server =
    certificate === undefined ? http.createServer() : https.createServer(tlsOptions(certificate));
  const webSockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 * 1024 });
  const upgrades: http.IncomingMessage[] = [];
  const sockets: WebSocket[] = [];
  server.on('upgrade', (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    upgrades.push(request);
    socket.on('error', () => undefined);
    if (onUpgrade?.(request, socket) === true) return;
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      sockets.push(webSocket);
      webSocket.on('error', () => undefined);
      onConnection(webSocket, request);
    });
  });
  const close = closer(server);
  await listen(server);
  const { port } = server.address() as AddressInfo;
  const url =
    certificate === undefined ? `ws://127.0.0.1:${String(port)}` : `wss://localhost:${String(port)}`;
  return { url, port, upgrades, sockets, [Symbol.asyncDispose]: close };
}

export interface TestProxy extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  /** Targets (`host:port`) and the Proxy-Authorization header of each CONNECT. */
  readonly connects: { readonly target: string; readonly authorization: string | undefined }[];
}

/** An HTTP proxy that knows CONNECT. `route` names the port on loopback for a target, or the status of a refusal. */
export async function serveProxy(
  route: (target: string) => { readonly port: number } | { readonly status: number } | undefined,
  certificate?: ServerCertificate,
): Promise<TestProxy> {
  const connects: { target: string; authorization: string | undefined }[] = [];
  const server =
    certificate === undefined ? http.createServer() : https.createServer(tlsOptions(certificate));
  server.on('connect', (request: http.IncomingMessage, socket: Duplex) => {
    const target = request.url ?? '';
    connects.push({ target, authorization: request.headers['proxy-authorization'] });
    socket.on('error', () => undefined);
    const to = route(target);
    if (to === undefined) return;
    if ('status' in to) {
      socket.end(`HTTP/1.1 ${String(to.status)} Refused\r\nContent-Length: 5\r\n\r\nnope\n`);
      return;
    }
    const upstream = net.connect(to.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('close', () => upstream.destroy());
  });
  const close = closer(server);
  await listen(server);
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${String(port)}`;
  const scheme = certificate === undefined ? 'http' : 'https';
  return { url: `${scheme}://${host}`, host, connects, [Symbol.asyncDispose]: close };
}

/** A port on loopback on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = net.createServer();
  await listen(server);
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Answers the first bytes of every connection with these, and hangs up. */
export async function serveRaw(answer: string): Promise<AsyncDisposable & { readonly port: number }> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(answer));
  });
  const close = closer(server);
  await listen(server);
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: close };
}

/** Accepts connections and never says anything. */
export async function serveSilence(): Promise<
  AsyncDisposable & { readonly port: number; readonly sockets: Set<Socket> }
> {
  const sockets = new Set<Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.resume();
  });
  const close = closer(server);
  await listen(server);
  return { port: (server.address() as AddressInfo).port, sockets, [Symbol.asyncDispose]: close };
}

function tlsOptions({ certificate, privateKey }: ServerCertificate): https.ServerOptions {
  return { cert: certificate, key: privateKey };
}

function listen(server: net.Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
}

/** Ends the server and all its connections, upgraded ones included. */
function closer(server: net.Server): () => Promise<void> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
}
