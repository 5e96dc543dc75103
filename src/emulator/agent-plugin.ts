/**
 * The seam inside the emulated agent: the session worker (agent.ts) on one side, what a session type does
 * (agent-port.ts, agent-mux.ts, agent-shell.ts, ...) on the other.
 */
import type { Clock } from '../clock.ts';
import type { LogFields } from '../log.ts';
import type { AgentChannel, PendingVerdict } from './agent-channel.ts';
import type { AgentEnvironment, AgentSessionRequest } from './agent-link.ts';

export type TaskStatus = 'Success' | 'Failed' | 'Cancelled';

/** The session worker as its plugin sees it. */
export interface PluginHost {
  readonly request: AgentSessionRequest;
  readonly environment: AgentEnvironment;
  readonly channel: AgentChannel;
  readonly clock: Clock;
  /** From the handshake; empty without one. */
  readonly clientVersion: string;
  trace(event: string, fields?: LogFields): void;
  /** The plugin is done: it is stopped, the outbox gets up to 2 s, then the result is reported. */
  finish(status: TaskStatus, output: string): void;
  /** As `finish`, for a TerminateSession flag. Blocks the reader when the session is ending already. */
  terminate(): PendingVerdict;
  /** The worker process dies: silence, and the failure is reported only after `portFailureMs`. */
  crash(output: string): void;
}

export interface SessionPlugin {
  /** Starts the session type's work; called once, after the handshake. */
  start(): void;
  /** A stream message in its turn, payload decrypted. */
  handle(payloadType: number | undefined, payload: Buffer): PendingVerdict;
  /** The pause is over. */
  onActive(): void;
  /** An acknowledgement was processed. */
  onAcknowledged(): void;
  /** Ends the work in an orderly way: what was written is still delivered. Idempotent. */
  stop(): void;
  /** The process is gone: connections are cut, children killed. Idempotent, also after `stop`. */
  kill(): void;
}

/** A verdict that never comes: the real agent's reader blocked on a channel that nobody reads. */
export function blockForever(): Promise<never> {
  return new Promise(() => {});
}

/** What the real agent's output handler puts before errors it is given with MarkAsFailed. */
export const ERROR_TITLE = '\n----------ERROR-------\n';
