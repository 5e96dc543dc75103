/**
 * Where the browser comes back to after a login (RFC 8252, 7.3): a server on 127.0.0.1, on a port of its own, for one
 * answer that carries our state. Anything else that comes is refused and changes nothing; another page of the browser
 * can guess the port, not the state.
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { ProxyError } from '../errors.ts';

/** As the AWS CLI registers it, so that both can use the same registration; any port will do. */
export const REGISTERED_REDIRECT = 'http://127.0.0.1/oauth/callback';
const PATH = '/oauth/callback';
/** A browser that never comes back must not hold the server for ever: requests are tiny. Milliseconds. */
const REQUEST_MS = 10_000;

export interface RedirectServer {
  /** What the browser is told to come back to. */
  readonly redirectUri: string;
  /** The authorization code. Rejects with LOGIN_FAILED when the person declined, and when `limitMs` have passed. */
  waitForCode(limitMs: number): Promise<string>;
  close(): void;
}

/** Listens. LOGIN_FAILED when no port can be had. */
export async function startRedirectServer(state: string): Promise<RedirectServer> {
  let settle: (outcome: string | ProxyError) => void = () => {};
  const answered = new Promise<string | ProxyError>((resolve) => {
    settle = resolve;
  });
  const server = createServer(
    { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS },
    (request, response) => {
      const outcome = readRedirect(request, state);
      if (outcome === undefined) return refuse(response);
      showPage(response, outcome instanceof ProxyError);
      // Once the page is out: closing the server drops its connections.
      response.once('close', () => settle(outcome));
    },
  );
  const port = await listen(server);
  return {
    redirectUri: `http://127.0.0.1:${String(port)}${PATH}`,
    async waitForCode(limitMs) {
      const timer = setTimeout(() => {
        settle(
          new ProxyError('LOGIN_FAILED', `nobody logged in within ${String(limitMs / 60_000)} minutes`, {
            hint: 'try again; without a browser on this machine, use --no-browser',
          }),
        );
      }, limitMs);
      const outcome = await answered.finally(() => clearTimeout(timer));
      if (outcome instanceof ProxyError) throw outcome;
      return outcome;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The code or the refusal that a request carries; undefined when it is not the one that we wait for. */
function readRedirect(request: IncomingMessage, state: string): string | ProxyError | undefined {
  const url = URL.canParse(request.url ?? '', 'http://127.0.0.1')
    ? new URL(request.url ?? '', 'http://127.0.0.1')
    : undefined;
  if (request.method !== 'GET' || url?.pathname !== PATH) return undefined;
  if (!isEqual(url.searchParams.get('state') ?? '', state)) return undefined;
  const code = url.searchParams.get('code');
  if (code !== null && code !== '') return code;
  const reason = (url.searchParams.get('error') ?? 'no code in the answer')
    .replace(/[^\w .-]/g, '?')
    .slice(0, 80);
  return new ProxyError('LOGIN_FAILED', `the login was declined in the browser (${reason})`, {
    hint: 'try again, and allow the access that the page asks for',
  });
}

function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function refuse(response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'text/plain', connection: 'close' }).end('not found\n');
}

function showPage(response: ServerResponse, isRefused: boolean): void {
  const text = isRefused
    ? 'The login was declined. ssm-proxy has ended; its terminal says more.'
    : 'You are logged in. You can close this window and go back to the terminal.';
  response
    .writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'",
      // The address of this page holds the code.
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      connection: 'close',
    })
    .end(`<!doctype html><html lang="en"><title>ssm-proxy</title><p>${text}</p></html>\n`);
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new ProxyError('LOGIN_FAILED', `no port on 127.0.0.1 for the browser's answer: ${cause.message}`, {
          hint: 'use --no-browser',
          cause,
        }),
      );
    });
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}
