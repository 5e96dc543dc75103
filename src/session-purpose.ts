/**
 * What a session is for: what StartSession is asked for, when the session counts as open, and the words for its far
 * end. `openSession` takes any of them; here for sessions to ports, in
 * command-purposes.ts for shells and commands (apart, as `connect` has no use for them).
 */
import { ProxyError } from './errors.ts';
import type { SessionFacts } from './protocol/handshake.ts';
import { SESSION_TYPE } from './protocol/handshake.ts';
import { MUX_ABOVE, compareVersions } from './protocol/versions.ts';

export type DocumentParameters = Readonly<Record<string, readonly string[]>>;

export interface SessionPurpose {
  /** Undefined: the account's default, a shell. */
  readonly document: string | undefined;
  readonly parameters: DocumentParameters;
  /** What is reached, followed by "of <instance>" in messages: `port 22`, `the shell`. */
  readonly farEnd: string;
  /** The session is open with the first byte of the far end, or once it is set up and may stay silent. */
  readonly opensWith: 'firstByte' | 'setup';
  /** Why a session with these facts is of no use; undefined: it is. */
  unusable(facts: SessionFacts): ProxyError | undefined;
}

export const SSH_DOCUMENT = 'AWS-StartSSHSession';
export const FORWARD_DOCUMENT = 'AWS-StartPortForwardingSession';
export const REMOTE_FORWARD_DOCUMENT = 'AWS-StartPortForwardingSessionToRemoteHost';

/** Properties.type of port sessions that carry several connections. */
export const LOCAL_PORT_FORWARDING = 'LocalPortForwarding';

export interface PortRequest {
  readonly port: number;
  /** Default AWS-StartSSHSession. */
  readonly document: string | undefined;
  /** Of the document, besides portNumber; an empty value takes a parameter out. */
  readonly parameters: DocumentParameters;
}

/** The bytes of one connection to a port. */
export function portPurpose({ port, document = SSH_DOCUMENT, parameters }: PortRequest): SessionPurpose {
  const all: DocumentParameters = { portNumber: [String(port)], ...parameters };
  return {
    document,
    // For one's own documents that have no port.
    parameters: Object.fromEntries(
      Object.entries(all).filter(([, values]) => values.some((value) => value !== '')),
    ),
    farEnd: `port ${port}`,
    opensWith: 'firstByte',
    unusable(facts) {
      if (!isMultiplexed(facts)) return undefined;
      return new ProxyError('DOCUMENT_INVALID', `document ${document} starts a multiplexed port session`, {
        hint: `connect needs a plain port session, as ${SSH_DOCUMENT} starts it`,
      });
    },
  };
}

export interface ForwardRequest {
  /** What the node connects to; undefined: the node itself. */
  readonly host: string | undefined;
  readonly port: number;
  /** One's own document of type Port with LocalPortForwarding. */
  readonly document: string | undefined;
  /** Of the document, besides host and portNumber. */
  readonly parameters: DocumentParameters;
}

/** Connections to a port, many at once where the agent is new enough. */
export function forwardPurpose({ host, port, document, parameters }: ForwardRequest): SessionPurpose {
  const name = document ?? (host === undefined ? FORWARD_DOCUMENT : REMOTE_FORWARD_DOCUMENT);
  return {
    document: name,
    parameters: {
      ...(host === undefined ? {} : { host: [host] }),
      portNumber: [String(port)],
      ...parameters,
    },
    farEnd: host === undefined ? `port ${port}` : `port ${port} of ${host} by way`,
    opensWith: 'setup',
    unusable({ sessionType, properties }) {
      if (sessionType === SESSION_TYPE.PORT && properties['type'] === LOCAL_PORT_FORWARDING) return undefined;
      return new ProxyError('DOCUMENT_INVALID', `document ${name} does not forward a local port`, {
        hint: `forward needs a document of type Port with "type": "${LOCAL_PORT_FORWARDING}", as ${FORWARD_DOCUMENT} is`,
      });
    },
  };
}

/** Multiplexed port sessions carry frames, not the bytes of one connection. */
export function isMultiplexed({ sessionType, properties, agentVersion }: SessionFacts): boolean {
  return (
    sessionType === SESSION_TYPE.PORT &&
    properties['type'] === LOCAL_PORT_FORWARDING &&
    agentVersion !== undefined &&
    compareVersions(agentVersion, MUX_ABOVE) > 0
  );
}
