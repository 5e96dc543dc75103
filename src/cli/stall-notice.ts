/**
 * Tells the person at a terminal why nothing happens: the connection is lost and being resumed, or the far side has
 * not acknowledged what was typed. Short gaps, such as the renewal of the WebSocket, are not worth a line.
 */
import type { Session } from '../session/session.ts';

/** How long a connection may be away before it is said. Milliseconds. */
const LOST_MS = 1_500;
/** How long typed bytes may be unacknowledged before it is said. Milliseconds. */
const SILENT_MS = 5_000;
const LOOK_EVERY_MS = 1_000;

export class StallNotice {
  readonly #say: (text: string) => void;
  readonly #hint: string;
  #session: Pick<Session, 'stats'> | undefined;
  #look: NodeJS.Timeout | undefined;
  #lostTimer: NodeJS.Timeout | undefined;
  #isLost = false;
  #isSaid = false;
  /** What was unacknowledged when the looking began, and since when. */
  #stalledSince: number | undefined;
  #seen = '';

  /** `hasEscapes`: `~.` ends the session. */
  constructor(say: (text: string) => void, hasEscapes: boolean) {
    this.#say = say;
    this.#hint = hasEscapes ? '; ~. at the start of a line leaves' : '';
  }

  watch(session: Pick<Session, 'stats'>): void {
    this.#session = session;
    this.#look = setInterval(() => this.#lookAtAcks(), LOOK_EVERY_MS);
    this.#look.unref();
  }

  link(state: 'lost' | 'restored'): void {
    clearTimeout(this.#lostTimer);
    this.#isLost = state === 'lost';
    if (this.#isLost) {
      this.#lostTimer = setTimeout(
        () => this.#tell(`the connection is lost; resuming it${this.#hint}`),
        LOST_MS,
      );
      this.#lostTimer.unref();
    } else this.heard();
  }

  /** The far side is there. */
  heard(): void {
    this.#stalledSince = undefined;
    if (!this.#isSaid || this.#isLost) return;
    this.#isSaid = false;
    this.#say('the connection is back');
  }

  stop(): void {
    clearInterval(this.#look);
    clearTimeout(this.#lostTimer);
  }

  #lookAtAcks(): void {
    if (this.#session === undefined || this.#isLost) return;
    const { unackedMessages, unackedBytes, sentBytes, receivedBytes } = this.#session.stats();
    const seen = `${sentBytes - unackedBytes} ${receivedBytes}`;
    const now = performance.now();
    if (unackedMessages === 0 || seen !== this.#seen) {
      this.#seen = seen;
      this.#stalledSince = undefined;
      if (unackedMessages === 0) this.heard();
      return;
    }
    this.#stalledSince ??= now;
    if (now - this.#stalledSince >= SILENT_MS) this.#tell(`no answer from the far side${this.#hint}`);
  }

  #tell(text: string): void {
    if (this.#isSaid) return;
    this.#isSaid = true;
    this.#say(text);
  }
}
