/** What a channel asks its driver to do. Performed in order; none of them may call back into the channel. */
import type { ProxyError } from '../errors.ts';
import type { PaceLesson } from './pace-search.ts';
import type { DataKeyRequest, SessionFacts } from './handshake.ts';

export type Action =
  /** Give these to the link, in order. */
  | { readonly kind: 'send'; readonly messages: readonly Buffer[] }
  /** Stream bytes for the user; report them with `consumed` when they have left. Aliases the received message. */
  | { readonly kind: 'deliver'; readonly stream: 'stdout' | 'stderr'; readonly data: Buffer }
  /** The handshake is over: data may flow. */
  | { readonly kind: 'ready'; readonly facts: SessionFacts }
  /** Text of the agent for the user. */
  | { readonly kind: 'notice'; readonly text: string }
  /** Answer with `dataKey`. */
  | { readonly kind: 'dataKeyWanted'; readonly request: DataKeyRequest }
  /** A Flag message of the agent (ConnectToPortError). */
  | { readonly kind: 'flag'; readonly flag: number }
  | { readonly kind: 'exitCode'; readonly exitCode: number }
  /** The pace `auto` has learnt something: keep it for the next session with such an agent. */
  | { readonly kind: 'paceLearnt'; readonly agentVersion: string; readonly lesson: PaceLesson }
  /** `write` returned false and there is room again. */
  | { readonly kind: 'writable' }
  /** Something arrived that was dropped, refused or odd: for the log and the flight recorder. */
  | { readonly kind: 'oddity'; readonly event: string; readonly detail: string }
  /**
   * The service says the session is over. `output` is the agent's task output, empty after a normal end.
   * `isTruncated`: stream messages that were sent never arrived.
   */
  | { readonly kind: 'closed'; readonly output: string; readonly isTruncated: boolean }
  /** The session cannot go on. */
  | { readonly kind: 'failed'; readonly error: ProxyError };
