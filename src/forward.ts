/** `forward()` of the library: local ports and Unix sockets, joined to what a node reaches. */
import { systemClock } from './clock.ts';
import { ProxyError } from './errors.ts';
import { openForwardSession } from './forward/forward-session.ts';
import { Forwarder, isNode } from './forward/forwarder.ts';
import type { ForwardDestination, ForwardRule } from './forward/forwarder.ts';
import { DEFAULT_BIND } from './forward/listener.ts';
import type { ListenAddress } from './forward/listener.ts';
import { MAX_SESSIONS } from './forward/pool.ts';
import { sessionRequestOf } from './library-options.ts';
import type { SessionOptions } from './library-options.ts';
import { silentLog } from './log.ts';
import { forwardPurpose } from './session-purpose.ts';
import type { DocumentParameters } from './session-purpose.ts';

/** What the node connects to. */
export interface ForwardTo {
  /** A name or address as the node sees it; default: the node itself. */
  readonly host?: string;
  readonly port: number;
}

/** Where to listen on this machine: a TCP port, or a Unix socket (mode 0600). */
export type ForwardListen =
  | {
      /** Default 127.0.0.1; `*` for all addresses. */
      readonly host?: string;
      /** 0, the default: one that is free. */
      readonly port?: number;
    }
  | { readonly path: string };

export interface ForwardOptions extends SessionOptions {
  /** Default: by destination, AWS-StartPortForwardingSession or AWS-StartPortForwardingSessionToRemoteHost. */
  readonly document?: string;
  /** Parameters of the document besides host and portNumber. */
  readonly parameters?: DocumentParameters;
  readonly local?: readonly { readonly listen?: ForwardListen; readonly to: ForwardTo }[];
  /** SOCKS 5 proxies to whatever the node reaches. */
  readonly socks?: readonly { readonly listen?: ForwardListen }[];
  /** Sessions per destination, 1 to 16; `auto`: more while those there are busy. Default 1. */
  readonly sessions?: number | 'auto';
  /** A connection or a session has failed; the forward goes on. */
  readonly onError?: (error: ProxyError) => void;
}

/** One listener of a forward, with the port that was found. `to` is undefined for a SOCKS proxy. */
export type ForwardListening = { readonly to: ForwardTo | undefined } & (
  { readonly host: string; readonly port: number } | { readonly path: string }
);

export interface Forward {
  /** In the order of `local`, then of `socks`. */
  readonly listening: readonly ForwardListening[];
  /** Connections now. */
  readonly connections: number;
  /** IDs of the sessions that run now. */
  readonly sessionIds: readonly string[];
  /** Ends listeners, connections and sessions. Never rejects. */
  close(): Promise<void>;
}

/**
 * Resolves when everything listens and each destination of `local` has a session. Rejects with a ProxyError.
 * Aborting `signal` ends the attempt, and later the forward.
 */
export async function forward(options: ForwardOptions): Promise<Forward> {
  const { signal, sessions = 1, document, parameters = {} } = options;
  if (signal?.aborted === true) throw cancelled(signal);
  const dependencies = {
    env: options.env ?? process.env,
    clock: systemClock,
    log: options.log ?? silentLog,
  };
  const rules = rulesOf(options);
  const forwarder = new Forwarder({
    rules,
    sessions: checkedSessions(sessions),
    clock: systemClock,
    onTrouble: (error) => options.onError?.(error),
    open: (to, events, ending) => {
      const purpose = forwardPurpose({ ...to, document, parameters });
      return openForwardSession(
        { ...sessionRequestOf(options, `forward ${options.target}`), purpose },
        dependencies,
        events,
        ending,
      );
    },
  });
  const onAbort = (): void => void forwarder.close();
  const forgetSignal = (): void => signal?.removeEventListener('abort', onAbort);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await forwarder.start();
  } catch (error) {
    forgetSignal();
    throw isAborted(signal) ? cancelled(signal) : error;
  }
  if (isAborted(signal)) {
    await forwarder.close();
    throw cancelled(signal);
  }
  return {
    listening: forwarder.listening.map(({ rule, address }) => ({
      ...(address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }),
      to: rule.kind === 'socks' ? undefined : shownTo(rule.to),
    })),
    get connections() {
      return forwarder.connections;
    },
    get sessionIds() {
      return forwarder.sessions.map(({ sessionId }) => sessionId);
    },
    async close() {
      forgetSignal();
      await forwarder.close();
    },
  };
}

function rulesOf({ local = [], socks = [] }: ForwardOptions): readonly ForwardRule[] {
  if (local.length + socks.length === 0) {
    throw new ProxyError('USAGE', 'there is nothing to forward', { hint: 'give local or socks' });
  }
  return [
    ...local.map(({ listen, to }): ForwardRule => ({
      kind: 'local',
      listen: addressOf(listen),
      to: checkedTo(to),
    })),
    ...socks.map(({ listen }): ForwardRule => ({ kind: 'socks', listen: addressOf(listen) })),
  ];
}

function addressOf(listen: ForwardListen = {}): ListenAddress {
  if ('path' in listen) return { kind: 'unix', path: listen.path };
  return { kind: 'tcp', host: listen.host ?? DEFAULT_BIND, port: checkedPort(listen.port ?? 0, 0) };
}

function checkedTo({ host, port }: ForwardTo): ForwardDestination {
  return { host: host === undefined || isNode(host) ? undefined : host, port: checkedPort(port, 1) };
}

function shownTo({ host, port }: ForwardDestination): ForwardTo {
  return host === undefined ? { port } : { host, port };
}

function checkedPort(port: number, lowest: number): number {
  if (Number.isInteger(port) && port >= lowest && port <= 65_535) return port;
  throw new ProxyError('USAGE', `port ${port} cannot be used`, {
    hint: `give a port from ${lowest} to 65535`,
  });
}

function checkedSessions(sessions: number | 'auto'): number | 'auto' {
  if (sessions === 'auto') return sessions;
  if (Number.isInteger(sessions) && sessions >= 1 && sessions <= MAX_SESSIONS) return sessions;
  throw new ProxyError('USAGE', `sessions: ${sessions} cannot be used`, {
    hint: `give a number from 1 to ${MAX_SESSIONS}, or 'auto'`,
  });
}

/** A function, since it changes while one waits. */
function isAborted(signal: AbortSignal | undefined): signal is AbortSignal {
  return signal?.aborted === true;
}

function cancelled(signal: AbortSignal): ProxyError {
  return new ProxyError('CANCELLED', 'cancelled by the caller', { cause: signal.reason });
}
