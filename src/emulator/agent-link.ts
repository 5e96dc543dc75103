/**
 * The seam between the emulated service (gateway.ts) and the emulated agent (agent.ts) of one session: what would
 * be the agent's own WebSocket and control channel. Both ends live in one process; the agent never sees a client.
 */
import type { LogFields } from '../log.ts';
import type { Dial } from './agent-tcp.ts';
import type { NodeFiles } from './node-files.ts';

/** What the service tells the agent when a session starts (control channel, `interactive_shell`). */
export interface AgentSessionRequest {
  readonly sessionId: string;
  readonly instanceId: string;
  readonly agentVersion: string;
  /** 'Port', 'Standard_Stream', 'InteractiveCommands' or 'NonInteractiveCommands', from the document. */
  readonly sessionType: string;
  /** Properties of the document with parameters substituted (Port: portNumber, host, type, localPortNumber). */
  readonly properties: Readonly<Record<string, string>>;
  /** Command line of command documents. */
  readonly command: string | undefined;
  /** NonInteractiveCommands: stdout and stderr apart, with an exit code. */
  readonly separateOutputStream: boolean;
  /** Set when the account's preferences encrypt sessions; Port sessions never are. */
  readonly kmsKeyId: string | undefined;
}

/** The service as the agent sees it. */
export interface AgentUplink {
  /** One binary message toward the client; relayed unchanged, or lost while a channel is down. */
  send(message: Buffer): void;
  /** Task result over the control channel. `output` becomes the Output of channel_closed. */
  complete(status: 'Success' | 'Failed' | 'Cancelled', output: string): void;
  /** Evidence for tests: an event of the agent (name first), never payloads. */
  trace(event: string, fields?: LogFields): void;
}

/** One running session worker on the node. */
export interface AgentSession {
  /** One message from the service: the client's, or the service's own (pause_publication, channel_closed, ...). */
  receive(message: Buffer): void;
  /** The agent's own data channel dropped / is back (it reconnects by itself with a new token). */
  channelDown(): void;
  channelUp(): void;
  /** The worker dies at once, as with kill -9: nothing more is sent, connections are cut. */
  kill(): void;
  /** Figures for tests and the control interface. */
  stats(): AgentStats;
}

export interface AgentStats {
  /** Messages sent and not yet acknowledged. */
  readonly unackedMessages: number;
  readonly retransmissions: number;
  /** Stream payload bytes accepted from the client, and sent to it (first transmissions). */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly duplicatesReceived: number;
  readonly isPaused: boolean;
}

/** How the emulated agent and node behave; the control interface changes it while sessions run. */
export interface AgentBehaviour {
  /** Stream bytes per message. The real agent: 1024. */
  payloadBytes: number;
  /** Sleep after each message. The real agent: 1. 0 lifts the pace. */
  paceMs: number;
  /** Duplicates are acknowledged again (agents from 3.2.1041.0 on); undefined: by agent version. */
  reackDuplicates: boolean | undefined;
  /** No acknowledgement at all (a stalled node). */
  stopAcks: boolean;
  /** Drop the first N acknowledgements that would be sent from now on (counts down). */
  dropAcks: number;
  /** Milliseconds before the HandshakeRequest leaves. */
  handshakeDelayMs: number;
  /** Extra client action to ask for (unknown action test), or undefined. */
  extraClientAction: string | undefined;
  /** Clocks of the real agent, in ms; tests shorten them: handshake wait 15000, silent port 60000. */
  handshakeTimeoutMs: number;
  portFailureMs: number;
  /** Dial delay and stall of the node's server: wait before connecting, then before reading what it sends. */
  dialDelayMs: number;
}

export const REAL_AGENT_BEHAVIOUR: AgentBehaviour = {
  payloadBytes: 1024,
  paceMs: 1,
  reackDuplicates: undefined,
  stopAcks: false,
  dropAcks: 0,
  handshakeDelayMs: 0,
  extraClientAction: undefined,
  handshakeTimeoutMs: 15_000,
  portFailureMs: 60_000,
  dialDelayMs: 0,
};

/** Where a port of the node really is on this machine. */
export interface DialAddress {
  readonly host: string;
  readonly port: number;
}

/** Where shells and commands of the node run. */
export interface ShellEnvironment {
  /** Their working directory. */
  readonly directory: string;
  /** All of their environment, except TERM. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface AgentEnvironment {
  /** Read at every use, so that changes act at once. */
  readonly behaviour: Readonly<AgentBehaviour> & { dropAcks: number };
  /** Maps the node's own port ("22" is its SSH server) or a remote host and port to an address to dial. */
  dialAddress(host: string | undefined, port: number): DialAddress;
  /** Connects to such an address; default: by TCP. */
  readonly dial?: Dial | undefined;
  /** Decrypts the client's data key (KMS sessions); rejects when it may not. */
  decryptDataKey(ciphertext: Buffer, context: Readonly<Record<string, string>>): Promise<Buffer>;
  /** What non-interactive commands find below /etc/ssh; default: nothing. */
  readonly files?: NodeFiles | undefined;
  /** Of shell and command sessions; without it they run in the temporary directory with a bare environment. */
  readonly shell?: ShellEnvironment | undefined;
}

/** Implemented by agent.ts. The session is running when this returns; it sends its first message by itself. */
export type StartAgentSession = (
  request: AgentSessionRequest,
  environment: AgentEnvironment,
  uplink: AgentUplink,
) => AgentSession;
