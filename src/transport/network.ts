/**
 * How connections leave this machine: certificate trust and HTTP proxies, in one place for API calls and for the
 * data channel. Nothing is read or loaded before the first connection that needs it: no CA file without
 * AWS_CA_BUNDLE, no proxy code without a proxy variable. `connect` creates it before its first packet.
 */
import type http from 'node:http';
import type tls from 'node:tls';
import { ProxyError } from '../errors.ts';
import { PreparedConnections } from './prepared.ts';
import { chooseProxy } from './proxy-choice.ts';
import { splitUrl } from './raw-url.ts';

export interface AgentUse {
  /** One connection of its own, never one that has served a request before. For the data channel. */
  readonly isChannel?: boolean;
  /**
   * Drops the connection, also while an HTTP proxy has not answered: until then a destroyed request leaves its
   * connection behind.
   */
  readonly signal?: AbortSignal;
}

export interface Network {
  /**
   * The agent that connects to the host of this URL (http, https, ws or wss), for one request. Asynchronous because
   * its code is loaded on first use. CONFIG_INVALID for a proxy setting or CA bundle that cannot be used.
   */
  agentFor(url: string, use?: AgentUse): Promise<http.Agent>;
  /** `host:port` of the HTTP proxy that the URL goes through, for messages: no user, no password. */
  proxyFor(url: string): string | undefined;
  /**
   * Connects to the hosts of these URLs, for requests that are going to come. Only those without a proxy; nothing is
   * said of failures. Their TLS starts with `secure`.
   */
  prepare(urls: readonly string[]): void;
  /** Starts TLS on prepared connections. Blocks for some 30 ms the first time, in which certificates are parsed. */
  secure(): Promise<void>;
  /** Closes idle connections, and those that were prepared and not used. Running ones go on. */
  close(): void;
}

export interface NetworkOptions {
  /** `ca_bundle` of the profile; AWS_CA_BUNDLE goes before it. */
  readonly caBundle?: string | undefined;
}

/** Proxy variables, AWS_CA_BUNDLE and NODE_EXTRA_CA_CERTS are read from `env` when first needed. */
export function createNetwork(env: NodeJS.ProcessEnv, options: NetworkOptions = {}): Network {
  const kept = new Map<boolean, http.Agent>();
  const prepared = new PreparedConnections();
  let trust: Promise<tls.SecureContext | undefined> | undefined;

  const loadTrustOnce = async (): Promise<tls.SecureContext | undefined> => {
    const bundle = nonEmpty(env['AWS_CA_BUNDLE']) ?? nonEmpty(options.caBundle);
    if (bundle === undefined) return undefined;
    const { loadTrust } = await import('./trust.ts');
    return loadTrust(bundle, nonEmpty(env['NODE_EXTRA_CA_CERTS']));
  };
  const trustOnce = (): Promise<tls.SecureContext | undefined> => (trust ??= loadTrustOnce());

  const agent = async (isSecure: boolean, isChannel: boolean): Promise<http.Agent> => {
    const security = isSecure ? { trust: await trustOnce() } : undefined;
    const { createDirectAgent } = await import('./direct-agents.ts');
    const known = isChannel ? undefined : kept.get(isSecure);
    if (known !== undefined) return known;
    const made = createDirectAgent(prepared, isChannel, security);
    if (!isChannel) kept.set(isSecure, made);
    return made;
  };

  return {
    async agentFor(url, use = {}) {
      const target = splitUrl(url);
      if (target === undefined) {
        throw new ProxyError('CONFIG_INVALID', 'the URL of an endpoint is not an http or https URL');
      }
      const isSecure = target.scheme === 'https' || target.scheme === 'wss';
      const proxy = chooseProxy(url, env);
      if (proxy === undefined) return agent(isSecure, use.isChannel === true);
      const secureContext = isSecure || proxy.protocol === 'https:' ? await trustOnce() : undefined;
      const { createProxyAgent } = await import('./proxy-agent.ts');
      return createProxyAgent(proxy, { isSecure, secureContext, signal: use.signal });
    },
    proxyFor: (url) => chooseProxy(url, env)?.host,
    prepare(urls) {
      prepared.open(urls.filter((url) => isDirect(url, env)));
    },
    async secure() {
      if (!prepared.needsTls) return;
      try {
        const [tlsModule, context] = await Promise.all([import('node:tls'), trustOnce()]);
        prepared.secure(tlsModule, context);
      } catch {
        // A CA bundle that cannot be used: the first request says so.
        prepared.close();
      }
    },
    close() {
      prepared.close();
      for (const each of kept.values()) void closeLater(each);
    },
  };
}

async function closeLater(agent: http.Agent): Promise<void> {
  const { closeIdle } = await import('./direct-agents.ts');
  closeIdle(agent);
}

/** False also for a proxy setting that cannot be used: the first request says so. */
function isDirect(url: string, env: NodeJS.ProcessEnv): boolean {
  try {
    return chooseProxy(url, env) === undefined;
  } catch {
    return false;
  }
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}
