/** What a session needs and what it tells: shared by the session and its parts. */
import type { Clock } from '../clock.ts';
import type { ProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { DataKeyOutcome, DataKeyRequest, SessionFacts } from '../protocol/handshake.ts';
import type { PaceLesson } from '../protocol/pace-search.ts';
import type { Connect } from '../transport/transport.ts';
import type { FlightRecorder } from './flight-recorder.ts';

/** What opens a data channel. All but the session ID are secrets. */
export interface SessionGrant {
  readonly sessionId: string;
  readonly streamUrl: string;
  readonly tokenValue: string;
}

/** The AWS side of one session. */
export interface SessionApi {
  /** ResumeSession with freshly resolved credentials. An empty stream URL means: the one before. */
  resume(signal: AbortSignal): Promise<SessionGrant>;
  /** TerminateSession. */
  terminate(signal: AbortSignal): Promise<void>;
  dataKey(request: DataKeyRequest): Promise<DataKeyOutcome>;
  /** Looks the instance and its agent up: the error to end with if they are gone, undefined if not or not known. */
  diagnose?(signal: AbortSignal): Promise<ProxyError | undefined>;
}

export type SessionOutcome =
  /** The far end is over. `output` is its reason, empty when all is well. */
  | { readonly kind: 'ended'; readonly output: string; readonly isTruncated: boolean }
  /** We ended it. */
  | { readonly kind: 'terminated' }
  /** `output`: the far end's own words for it, where it had any. */
  | { readonly kind: 'failed'; readonly error: ProxyError; readonly output?: string };

export interface SessionEvents {
  onReady(facts: SessionFacts): void;
  /** Stream bytes; give them back with `consumed`. */
  onData(data: Buffer, stream: 'stdout' | 'stderr'): void;
  /** Room to write again. */
  onWritable(): void;
  /** Everything written so far has been acknowledged by the agent. */
  onDrained(): void;
  onNotice(text: string): void;
  /** The command on the far side has ended; its last output came before. Commands only. */
  onExitCode?(exitCode: number): void;
  /** A Flag message of the agent (FLAG of protocol/payloads.ts). Multiplexed port sessions only. */
  onFlag?(flag: number): void;
  /** The connection of a session that is set up was lost, and later that it has come back. */
  onLink?(state: 'lost' | 'restored'): void;
  onEnd(outcome: SessionOutcome): void;
}

/** All in milliseconds. */
export interface SessionTimes {
  /** How long one loss may take to mend. Defaults are in times.ts. */
  readonly resumeTimeoutMs?: number | undefined;
  readonly pingIntervalMs?: number | undefined;
  readonly pongTimeoutMs?: number | undefined;
  /** Age from which a link is renewed before the service cuts it. */
  readonly renewAfterMs?: number | undefined;
}

/** What the pace `auto` has learnt on such paths. Neither call may throw. */
export interface PaceMemory {
  recall(agentVersion: string): PaceLesson | undefined;
  learn(agentVersion: string, lesson: PaceLesson): void;
}

export interface SessionOptions extends SessionTimes {
  readonly grant: SessionGrant;
  readonly targetId: string;
  /** Undefined: no pace. */
  readonly messagesPerSecond: number | undefined;
  /** Makes the pace `auto`; `messagesPerSecond` is then the safe one. */
  readonly autoPace?: PaceMemory | undefined;
  /** From the first link to the end of the handshake, in ms; default 30 s. */
  readonly handshakeTimeoutMs?: number | undefined;
  /** Bytes that wait to be sent, above which `write` returns false; default 128 KiB. */
  readonly pendingLimitBytes?: number | undefined;
}

export interface SessionDependencies {
  readonly connect: Connect;
  readonly api: SessionApi;
  readonly clock: Clock;
  readonly log: Log;
  readonly randomBytes: (count: number) => Uint8Array;
  /** Takes note of messages and link events, for the report of an abnormal end. */
  readonly recorder?: FlightRecorder | undefined;
}
