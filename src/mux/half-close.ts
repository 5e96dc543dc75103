/**
 * When to send the FIN of a stream whose local client has ended its sending.
 *
 * The agent knows no half-close. On our FIN it closes the connection to the server both ways, and an answer that is
 * still to come is lost (agent port_mux.go: both copy loops close what they write to). But most clients that end
 * their sending are gone altogether, and TCP does not tell the difference, so the FIN cannot wait for ever either. It
 * leaves when the far end has everything and then has been silent: briefly when it has answered already, long when
 * it owes an answer. A server that answers only at the end of its input never does so through such an agent.
 */
import { ACKNOWLEDGED_POLL_MS, GRACE_MS } from './limits.ts';

/** The data channel, as seen now. */
export interface PathFacts {
  /** Bytes of the multiplexer that the agent has acknowledged, from the beginning. */
  readonly acknowledgedBytes: number;
  /** What the far end sends is heard: there is a link, and nothing that arrived waits for something before it. */
  readonly isHearing: boolean;
}

export class HalfClose {
  readonly #lastByteAt: number;
  #graceMs: number;
  #silentSince: number | undefined;

  /** `lastByteAt`: count of the multiplexer's bytes up to and including the last of this stream. */
  constructor(lastByteAt: number, grace: keyof typeof GRACE_MS) {
    this.#lastByteAt = lastByteAt;
    this.#graceMs = GRACE_MS[grace];
  }

  /** The far end has spoken on this stream. */
  received(now: number): void {
    this.#graceMs = GRACE_MS.answered;
    if (this.#silentSince !== undefined) this.#silentSince = now;
  }

  /** True when the FIN is due. */
  isDue(path: PathFacts, now: number): boolean {
    if (!path.isHearing || path.acknowledgedBytes < this.#lastByteAt) {
      this.#silentSince = undefined;
      return false;
    }
    this.#silentSince ??= now;
    return now >= this.#silentSince + this.#graceMs;
  }

  /** When to ask again. */
  deadline(now: number): number {
    return this.#silentSince === undefined ? now + ACKNOWLEDGED_POLL_MS : this.#silentSince + this.#graceMs;
  }
}
