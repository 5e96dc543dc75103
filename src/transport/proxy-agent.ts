/**
 * The agent that makes one connection through an HTTP proxy (CONNECT, with the proxy URL's user and password).
 * Loaded only when a proxy is configured. A proxy that refuses is an error of its own: without that, its 403 or 407
 * page would be read as an answer of AWS.
 */
import type http from 'node:http';
import type tls from 'node:tls';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { PROXY_REFUSED } from './connect-error.ts';

export interface ProxyAgentOptions {
  /** The target behind the proxy speaks TLS. */
  readonly isSecure: boolean;
  /** What the target's certificate, and that of an https proxy, are checked against. */
  readonly secureContext: tls.SecureContext | undefined;
  /** Drops the connection, also while the proxy has not answered: a destroyed request has no socket to drop yet. */
  readonly signal: AbortSignal | undefined;
}

type Connect = HttpsProxyAgent<string>['connect'];

class ProxyAgent extends HttpsProxyAgent<string> {
  readonly #options: ProxyAgentOptions;

  constructor(proxy: URL, options: ProxyAgentOptions) {
    const { secureContext, signal } = options;
    super(proxy.href, { ...(secureContext && { secureContext }), ...(signal && { signal }) });
    this.#options = options;
  }

  /** The inherited way reads the call stack to find out whether https.request called. */
  override isSecureEndpoint(): boolean {
    return this.#options.isSecure;
  }

  override connect(request: Parameters<Connect>[0], options: Parameters<Connect>[1]): ReturnType<Connect> {
    const { secureContext, isSecure } = this.#options;
    if (!isSecure || secureContext === undefined) return super.connect(request, options);
    // Options of the constructor reach only the connection to the proxy itself.
    return super.connect(request, Object.assign({}, options, { secureContext }));
  }
}

export function createProxyAgent(proxy: URL, options: ProxyAgentOptions): http.Agent {
  const agent = new ProxyAgent(proxy, options);
  agent.on('proxyConnect', (answer: { statusCode: number }, request: http.ClientRequest) => {
    if (answer.statusCode === 200) return;
    const error = new Error(`the HTTP proxy ${proxy.host} answered ${String(answer.statusCode)}`);
    request.destroy(Object.assign(error, { code: PROXY_REFUSED }));
  });
  return agent;
}
