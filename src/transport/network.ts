/**
 * How connections leave this machine: certificate trust and HTTP proxies, in one place for API calls and for the
 * data channel. Nothing is read or loaded before the first connection that needs it: no CA file without
 * AWS_CA_BUNDLE, no proxy code without a proxy variable.
 */
import http from 'node:http';
import https from 'node:https';
import type tls from 'node:tls';
import { ProxyError } from '../errors.ts';
import { chooseProxy } from './proxy-choice.ts';
import { splitUrl } from './raw-url.ts';
import { loadTrust } from './trust.ts';

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
   * the proxy code is loaded on first use. CONFIG_INVALID for a proxy setting or CA bundle that cannot be used.
   */
  agentFor(url: string, use?: AgentUse): Promise<http.Agent>;
  /** `host:port` of the HTTP proxy that the URL goes through, for messages: no user, no password. */
  proxyFor(url: string): string | undefined;
  /** Closes idle connections. Running ones go on. */
  close(): void;
}

export interface NetworkOptions {
  /** `ca_bundle` of the profile; AWS_CA_BUNDLE goes before it. */
  readonly caBundle?: string | undefined;
}

/**
 * A kept connection is closed after this time: after a sleep or a change of network it would be dead, and the next
 * call (a ResumeSession, say) would wait for its timeout on it. Milliseconds.
 */
const KEEP_ALIVE_MS = 4_000;

/** Proxy variables, AWS_CA_BUNDLE and NODE_EXTRA_CA_CERTS are read from `env` when first needed. */
export function createNetwork(env: NodeJS.ProcessEnv, options: NetworkOptions = {}): Network {
  const kept = new Map<boolean, http.Agent>();
  let trust: { readonly context: tls.SecureContext | undefined } | undefined;

  const trustOnce = (): tls.SecureContext | undefined => {
    trust ??= {
      context: loadTrust(
        nonEmpty(env['AWS_CA_BUNDLE']) ?? nonEmpty(options.caBundle),
        nonEmpty(env['NODE_EXTRA_CA_CERTS']),
      ),
    };
    return trust.context;
  };

  const createDirect = (isSecure: boolean, isChannel: boolean): http.Agent => {
    const keep = isChannel ? { keepAlive: false } : { keepAlive: true, timeout: KEEP_ALIVE_MS };
    if (!isSecure) return new http.Agent(keep);
    const secureContext = trustOnce();
    return new https.Agent(secureContext === undefined ? keep : { ...keep, secureContext });
  };

  return {
    async agentFor(url, use = {}) {
      const target = splitUrl(url);
      if (target === undefined) {
        throw new ProxyError('CONFIG_INVALID', 'the URL of an endpoint is not an http or https URL');
      }
      const isSecure = target.scheme === 'https' || target.scheme === 'wss';
      const proxy = chooseProxy(url, env);
      if (proxy !== undefined) {
        const secureContext = isSecure || proxy.protocol === 'https:' ? trustOnce() : undefined;
        const { createProxyAgent } = await import('./proxy-agent.ts');
        return createProxyAgent(proxy, { isSecure, secureContext, signal: use.signal });
      }
      if (use.isChannel === true) return createDirect(isSecure, true);
      const agent = kept.get(isSecure) ?? createDirect(isSecure, false);
      kept.set(isSecure, agent);
      return agent;
    },
    proxyFor: (url) => chooseProxy(url, env)?.host,
    close() {
      for (const agent of kept.values()) closeIdle(agent);
    },
  };
}

/** Closes what is idle now, and what becomes idle later: the answer of a last call may still be on its way. */
function closeIdle(agent: http.Agent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of sockets ?? []) socket.destroy();
  }
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}
