/**
 * Where data channels come in: the WebSocket upgrade with its signature. A refused one is HTTP 403. The first message,
 * with its token, is channel-reception.ts.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { isDenied } from './identities.ts';
import { joinedHeaders } from './api/request.ts';
import { checkSignature, signatureForm, splitUrl } from './api/sigv4.ts';
import type { ChannelOpen } from './call-log.ts';
import { ChannelReception } from './channel-reception.ts';
import { WebSocketClientSocket, resetSocket } from './client-socket.ts';
import type { Gateway } from './gateway.ts';
import type { World } from './world.ts';

const CHANNEL_PATH = /^\/v1\/data-channel\/([^/]+)$/;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export class ChannelDoor {
  readonly #world: World;
  readonly #gateway: Gateway;
  readonly #reception: ChannelReception;
  readonly #server = new WebSocketServer({
    noServer: true,
    // Pings are answered by ClientLink, with latency, or not at all.
    autoPong: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    clientTracking: false,
  });

  constructor(world: World, gateway: Gateway) {
    this.#world = world;
    this.#gateway = gateway;
    this.#reception = new ChannelReception(world, gateway);
  }

  /** Handles an HTTP upgrade; `socket` is owned from here on. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const rawUrl = request.url ?? '/';
    const { path, query } = splitUrl(rawUrl);
    const encodedId = CHANNEL_PATH.exec(path)?.[1];
    if (encodedId === undefined) {
      refuse(socket, 404, 'Not Found');
      return;
    }
    const sessionId = decodePath(encodedId);
    const headers = joinedHeaders(request);
    const open: ChannelOpen = {
      at: this.#world.clock.wallNow(),
      sessionId,
      requestUrl: rawUrl,
      signature: signatureForm({ rawUrl, headers }),
      accessKeyId: undefined,
      userAgent: headers['user-agent'],
      requestId: undefined,
      clientId: undefined,
      clientVersion: undefined,
      outcome: 'pending',
    };
    this.#world.calls.recordOpen(open);
    const outcome = this.#reception.nextOutcome();
    await this.#wait(outcome.delayMs + 2 * this.#world.faults.link.latencyMs);
    switch (outcome.kind) {
      case 'hang':
        open.outcome = 'unanswered';
        // Read and forgotten, so that the client's end is noticed.
        socket.resume();
        return;
      case 'reset':
        open.outcome = 'reset';
        resetSocket(socket);
        return;
      case 'status':
        open.outcome = `HTTP ${outcome.status}`;
        refuse(socket, outcome.status, 'Refused by a fault setting');
        return;
      case 'normal':
      case 'bad-token':
      case 'ignore':
        break;
      default:
        outcome.kind satisfies never;
    }
    const refusal = await this.#signatureProblem(request, rawUrl, headers, open);
    if (refusal !== undefined) {
      open.outcome = 'HTTP 403';
      refuse(socket, 403, refusal);
      return;
    }
    if (socket.destroyed) return;
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      if (outcome.kind === 'ignore') {
        open.outcome = 'ignored';
        webSocket.on('error', () => {});
        return;
      }
      const cell = query.get('cell-number')?.replaceAll(' ', '+') ?? '';
      const client = new WebSocketClientSocket(webSocket, socket);
      this.#reception.welcome(client, open, cell, outcome.kind === 'bad-token');
    });
  }

  async #signatureProblem(
    request: IncomingMessage,
    rawUrl: string,
    headers: Readonly<Record<string, string>>,
    open: ChannelOpen,
  ): Promise<string | undefined> {
    if (open.signature === 'none') {
      return this.#world.faults.open.requireSignature ? 'Missing Authentication Token' : undefined;
    }
    const signed = { method: request.method ?? 'GET', rawUrl, headers, body: Buffer.alloc(0) };
    const check = await checkSignature(signed, this.#world.identities, this.#world.clock.wallNow());
    if (check.problem !== undefined) return `Signature refused: ${check.problem.kind}`;
    open.accessKeyId = check.identity.accessKeyId;
    if (check.scope.service !== 'ssmmessages')
      return `Credential should be scoped to correct service: 'ssmmessages'.`;
    const session = this.#gateway.find(open.sessionId);
    if (session !== undefined && check.scope.region !== session.facts.region) {
      return 'Credential should be scoped to a valid region.';
    }
    const action = 'ssmmessages:OpenDataChannel';
    if (isDenied(check.identity, action))
      return `User: ${check.identity.arn} is not authorized to perform: ${action}`;
    return undefined;
  }

  #wait(delayMs: number): Promise<void> {
    if (delayMs === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#world.clock.plain.setTimer(delayMs, resolve);
    });
  }
}

function decodePath(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

function refuse(socket: Duplex, status: number, message: string): void {
  const body = JSON.stringify({ message });
  socket.end(
    `HTTP/1.1 ${status} ${status === 403 ? 'Forbidden' : 'Refused'}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
