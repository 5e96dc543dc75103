/** HTTP agents for connections without a proxy. They take prepared connections where there are any. */
import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type tls from 'node:tls';
import type { PreparedConnections } from './prepared.ts';

/**
 * A kept connection is closed after this time: after a sleep or a change of network it would be dead, and the next
 * call (a ResumeSession, say) would wait for its timeout on it. Milliseconds.
 */
const KEEP_ALIVE_MS = 4_000;

/** `isChannel`: one connection of its own, for the data channel. */
export function createDirectAgent(
  prepared: PreparedConnections,
  isChannel: boolean,
  security: { readonly trust: tls.SecureContext | undefined } | undefined,
): http.Agent {
  const keep = isChannel ? { keepAlive: false } : { keepAlive: true, timeout: KEEP_ALIVE_MS };
  if (security === undefined) return usingPrepared(new http.Agent(keep), prepared, false);
  const { trust } = security;
  const agent = new https.Agent(trust === undefined ? keep : { ...keep, secureContext: trust });
  return usingPrepared(agent, prepared, true);
}

type CreateConnection = (options: http.ClientRequestArgs, callback?: unknown) => Duplex | null | undefined;

function usingPrepared<A extends http.Agent>(agent: A, prepared: PreparedConnections, isSecure: boolean): A {
  // Missing from the types, and documented to be replaced.
  const own = agent as A & { createConnection: CreateConnection };
  const connect = own.createConnection.bind(agent);
  own.createConnection = (options, callback) => {
    const { host, port } = options;
    const ready =
      typeof host === 'string'
        ? prepared.take(host.replace(/^\[|\]$/g, ''), Number(port), isSecure)
        : undefined;
    return ready ?? connect(options, callback);
  };
  return agent;
}

/** Closes what is idle now, and what becomes idle later: the answer of a last call may still be on its way. */
export function closeIdle(agent: http.Agent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of sockets ?? []) socket.destroy();
  }
}
