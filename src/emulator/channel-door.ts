/**
 * Where data channels come in: the WebSocket upgrade with its signature, and the first message with its token.
 * A refused signature is HTTP 403; a refused token closes the WebSocket.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { isDenied } from './identities.ts';
import { joinedHeaders } from './api/request.ts';
import { checkSignature, signatureForm, splitUrl } from './api/sigv4.ts';
import type { ChannelOpen } from './call-log.ts';
import { isObject } from './checked-json.ts';
import { ClientLink, resetSocket } from './client-link.ts';
import type { EmulatedSession } from './emulated-session.ts';
import { DEFAULT_OPEN_OUTCOME } from './faults.ts';
import type { OpenOutcome } from './faults.ts';
import type { Gateway } from './gateway.ts';
import type { World } from './world.ts';

const CHANNEL_PATH = /^\/v1\/data-channel\/([^/]+)$/;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** A client that has connected must show its token within this time. */
const TOKEN_WAIT_MS = 10_000;

export class ChannelDoor {
  readonly #world: World;
  readonly #gateway: Gateway;
  readonly #server = new WebSocketServer({
    noServer: true,
    // Pings are answered by ClientLink, with latency, or not at all.
    autoPong: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    clientTracking: false,
  });
  #outcomes: readonly OpenOutcome[] = [];
  #outcomesUsed = 0;

  constructor(world: World, gateway: Gateway) {
    this.#world = world;
    this.#gateway = gateway;
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
    const outcome = this.#nextOutcome();
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
      this.#welcome(webSocket, socket, open, cell, outcome.kind === 'bad-token');
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

  /** The WebSocket is open; the first message decides. */
  #welcome(webSocket: WebSocket, socket: Duplex, open: ChannelOpen, cell: string, isDoomed: boolean): void {
    let session: EmulatedSession | undefined;
    let isRefused = false;
    const refuseToken = (why: string): void => {
      isRefused = true;
      open.outcome = why;
      link.close(this.#world.faults.open.badTokenCloseCode, 'Refused');
    };
    const tokenTimer = this.#world.clock.plain.setTimer(TOKEN_WAIT_MS, () => refuseToken('no token'));
    const link = new ClientLink(webSocket, socket, this.#world.clock.plain, () => this.#world.faults, {
      onMessage: (data) => {
        if (session !== undefined) {
          session.fromClient(data);
          return;
        }
        if (isRefused) return;
        tokenTimer.cancel();
        const verdict = isDoomed ? 'token refused by a fault setting' : this.#readToken(data, open);
        if (verdict !== undefined) {
          refuseToken(verdict);
          return;
        }
        session = this.#gateway.find(open.sessionId);
        const isStale = cell !== session?.cells.at(-1);
        const isMuted = isStale && this.#world.faults.resume.oldUrl === 'silent';
        open.outcome = isMuted ? 'bound, stale URL' : 'bound';
        session?.attachClient(link, isMuted);
      },
      onGone: (code) => {
        tokenTimer.cancel();
        session?.clientGone(link, code);
      },
      onDrain: () => session?.clientDrained(),
    });
  }

  /** Undefined when the message opens the channel, else why not. */
  #readToken(data: Buffer, open: ChannelOpen): string | undefined {
    let input: unknown;
    try {
      input = JSON.parse(data.toString('utf8'));
    } catch {
      return 'first message is not OpenDataChannelInput';
    }
    if (!isObject(input)) return 'first message is not OpenDataChannelInput';
    open.requestId = text(input['RequestId']);
    open.clientId = text(input['ClientId']);
    open.clientVersion = text(input['ClientVersion']);
    const verdict = this.#gateway.useToken(text(input['TokenValue']) ?? '', open.sessionId);
    return verdict === 'accepted' ? undefined : `token ${verdict}`;
  }

  /** The next entry of the list in force; a new list starts at its first. */
  #nextOutcome(): OpenOutcome {
    const { outcomes } = this.#world.faults.open;
    if (outcomes !== this.#outcomes) {
      this.#outcomes = outcomes;
      this.#outcomesUsed = 0;
    }
    const outcome = outcomes[this.#outcomesUsed];
    this.#outcomesUsed += 1;
    return outcome ?? DEFAULT_OPEN_OUTCOME;
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

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function refuse(socket: Duplex, status: number, message: string): void {
  const body = JSON.stringify({ message });
  socket.end(
    `HTTP/1.1 ${status} ${status === 403 ? 'Forbidden' : 'Refused'}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
