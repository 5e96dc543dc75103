/**
 * When a connection to a port ends after the end of its input. There is no half-close: once the agent has everything,
 * the far end may go on for as long as it is never silent for the grace time. sshd closes at once.
 */
import type { Pump } from '../session/pump.ts';
import type { Session } from '../session/session.ts';

/** After the end of stdin, how long the far end may be silent before the session is ended. Milliseconds. */
const GRACE_MS = 1_000;
/** The same before its first byte, which has to be dialled for. */
const FIRST_BYTE_GRACE_MS = 3_000;

export class HalfCloseGrace {
  readonly #pump: Pick<Pump, 'hasInputEnded' | 'unwrittenBytes'>;
  readonly #onOver: () => void;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(pump: Pick<Pump, 'hasInputEnded' | 'unwrittenBytes'>, onOver: () => void) {
    this.#pump = pump;
    this.#onOver = onOver;
  }

  /** To be called with every sign of life, and at the end of the input: the time begins anew. */
  begin(session: Pick<Session, 'stats'> | undefined): void {
    if (!this.#pump.hasInputEnded || session === undefined || this.#isStopped) return;
    const { unackedMessages, pendingBytes, state, receivedBytes } = session.stats();
    if (state !== 'ready' || unackedMessages > 0 || pendingBytes > 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        if (this.#pump.unwrittenBytes > 0) this.begin(session);
        else this.#onOver();
      },
      receivedBytes > 0 ? GRACE_MS : FIRST_BYTE_GRACE_MS,
    );
  }

  /** For good. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }
}
