/**
 * The control interface: JSON over HTTP on a loopback port of its own. The URL holds a random token, so that other
 * users of the machine and web pages cannot guess it. Routes are listed in docs/emulator.md.
 */
import * as crypto from 'node:crypto';
import * as http from 'node:http';
import type { IncomingMessage } from 'node:http';
import { asProxyError } from '../errors.ts';
import { readRequest } from './api/request.ts';
import type { Controls } from './controls.ts';
import { closeListener, listeningPort, listenOnLoopback } from './front-door.ts';
import { routeControl } from './control-routes.ts';

export class ControlServer {
  readonly #token = crypto.randomBytes(24).toString('base64url');
  readonly #server: http.Server;

  constructor(controls: Controls) {
    this.#server = http.createServer((request, response) => {
      void this.#answer(controls, request).then(({ status, body }) => {
        const text = `${JSON.stringify(body)}\n`;
        response.writeHead(status, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
        });
        response.end(text);
      });
    });
  }

  /** Resolves to the base URL, with a slash at its end. */
  async listen(): Promise<string> {
    await listenOnLoopback(this.#server, 0);
    return `http://127.0.0.1:${listeningPort(this.#server)}/${this.#token}/`;
  }

  async close(): Promise<void> {
    const closed = closeListener(this.#server);
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(controls: Controls, request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    const content = await readRequest(request);
    // Nobody reads the answer to a request that broke off.
    if (content === undefined) return { status: 400, body: { error: 'the request is incomplete' } };
    if (content === 'too-large') return { status: 413, body: { error: 'the request body is too large' } };
    const [, token, ...path] = content.rawUrl.split('?', 1)[0]?.split('/') ?? [];
    if (!this.#isToken(token ?? '')) return { status: 404, body: { error: 'no such path' } };
    try {
      const text = content.body.toString('utf8');
      const input: unknown = text === '' ? {} : JSON.parse(text);
      const answer = await routeControl(controls, content.method, path.map(decodeURIComponent), input);
      if (answer === undefined)
        return { status: 404, body: { error: `no such path: ${content.method} ${path.join('/')}` } };
      return { status: 200, body: answer };
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof URIError) {
        return { status: 400, body: { error: 'the request is not JSON' } };
      }
      const failure = asProxyError(error);
      return {
        status: failure.code === 'USAGE' ? 400 : 500,
        body: { error: failure.message, code: failure.code },
      };
    }
  }

  #isToken(given: string): boolean {
    const expected = Buffer.from(this.#token);
    const actual = Buffer.from(given);
    return actual.length === expected.length && crypto.timingSafeEqual(actual, expected);
  }
}
