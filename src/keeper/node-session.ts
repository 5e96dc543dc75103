/** What the keeper needs of a multiplexed session to a port of a node. */
import type { Duplex } from 'node:stream';

export interface NodeSession {
  readonly sessionId: string;
  readonly instanceId: string;
  readonly region: string;
  /** False when no more streams can be opened: it has ended, or is ending. */
  readonly isOpen: boolean;
  /** Opens a connection to the port. Throws a ProxyError when there is no session any more. */
  openStream(): Duplex;
  stats(): NodeSessionStats;
  /** Never rejects. */
  terminate(): Promise<void>;
}

export interface NodeSessionStats {
  /** Payload bytes from the node and to it. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly roundTripMs: number;
  readonly resumes: number;
}

export interface OpenNodeSession {
  /** Rejects with a ProxyError, or with NotShareable. */
  (events: NodeSessionEvents, signal: AbortSignal): Promise<NodeSession>;
}

export interface NodeSessionEvents {
  onStage(text: string): void;
  /** Of an open session; its streams end too. */
  onEnd(): void;
}

/** This node can be reached, but not with shared sessions: an old agent, a document that is not allowed. */
export class NotShareable extends Error {}
