/** What a mux session asks its driver to do. Performed in order; none of them may call back into it. */
import type { ProxyError } from '../errors.ts';

export type MuxAction =
  /** Bytes for the local client; report them with `consumed` when it has taken them. */
  | { readonly kind: 'deliver'; readonly streamId: number; readonly data: Buffer }
  /**
   * The far end has closed the connection, both ways: nothing more comes, and what is written from now on is lost.
   * The last action of a stream.
   */
  | { readonly kind: 'ended'; readonly streamId: number }
  /** Instead of `ended`: the agent could not connect. */
  | { readonly kind: 'refused'; readonly streamId: number }
  /** Instead of `ended`: its client takes nothing while others wait. Close it as broken. */
  | { readonly kind: 'stalled'; readonly streamId: number }
  /** `write` returned false for this stream and there is room again. */
  | { readonly kind: 'writable'; readonly streamId: number }
  /** So many received bytes count as consumed: tell the data channel. */
  | { readonly kind: 'credit'; readonly bytes: number }
  /** The agent does not speak smux; the session cannot go on. */
  | { readonly kind: 'failed'; readonly error: ProxyError };
