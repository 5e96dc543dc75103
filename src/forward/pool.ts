/**
 * The sessions that connections to one destination are spread over. The agent sends at most about 1 KiB a millisecond
 * in a session, however many connections it carries, so more sessions mean more throughput.
 *
 * A fixed number is kept open; `auto` begins with one and opens another when a connection comes while all are busy.
 * A session that has ended is replaced when the next connection comes.
 */
import type { Clock, TimerHandle } from '../clock.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import type { SessionOutcome } from '../session/session.ts';
import type { ForwardSession, ForwardSessionEvents } from './forward-session.ts';
import type { ForwardStream } from './forward-stream.ts';

/** Most sessions of one destination. */
export const MAX_SESSIONS = 16;
const MAX_AUTO_SESSIONS = 8;
/** Bytes per second in one direction from which a session counts as busy: half of what the agent sends at most. */
const BUSY_BYTES_PER_SECOND = 400 * 1024;
/** How often traffic is looked at. Milliseconds. */
const LOOK_MS = 1_000;
/** Sessions that `auto` has opened besides the first are ended when they have been idle for so long. Milliseconds. */
const EXTRA_IDLE_MS = 60_000;

export interface PoolParts {
  /** What is connected to, for messages: `db.internal:5432`. */
  readonly destination: string;
  readonly sessions: number | 'auto';
  /** All sessions are ended after so long without a connection; undefined: they stay. Milliseconds. */
  readonly idleMs: number | undefined;
  readonly open: (events: ForwardSessionEvents, signal: AbortSignal) => Promise<ForwardSession>;
  readonly clock: Clock;
  /** A session has ended that was not asked to, or a further one could not be opened. */
  readonly onTrouble: (error: ProxyError) => void;
}

interface Member {
  readonly session: ForwardSession;
  idleSince: number;
  isBusy: boolean;
  seenReceived: number;
  seenSent: number;
}

export class SessionPool {
  readonly #parts: PoolParts;
  readonly #members = new Set<Member>();
  readonly #openings = new Set<Promise<Member>>();
  readonly #ending = new AbortController();
  #looking: TimerHandle | undefined;
  #usedAt: number;

  constructor(parts: PoolParts) {
    this.#parts = parts;
    this.#usedAt = parts.clock.now();
  }

  get sessions(): readonly ForwardSession[] {
    return [...this.#members].map(({ session }) => session);
  }

  /** Nothing is open or being opened. */
  get isEmpty(): boolean {
    return this.#members.size === 0 && this.#openings.size === 0;
  }

  get streams(): number {
    return this.sessions.reduce((sum, session) => sum + session.stats().streams, 0);
  }

  /** When a connection was last asked for, in the clock's milliseconds. */
  get usedAt(): number {
    return this.#usedAt;
  }

  /** Opens what is to be open from the start. Rejects with a ProxyError when not one session can be opened. */
  async warmUp(): Promise<void> {
    const count = this.#parts.sessions === 'auto' ? 1 : this.#parts.sessions;
    const openings = Array.from({ length: count }, () => this.#open());
    const outcomes = await Promise.allSettled(openings);
    const [failed] = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    );
    if (failed === undefined) return;
    if (this.#members.size === 0) throw asProxyError(failed);
    this.#parts.onTrouble(asProxyError(failed));
  }

  /** A connection. Rejects with a ProxyError. */
  async stream(): Promise<ForwardStream> {
    this.#usedAt = this.#parts.clock.now();
    const { session } = await this.#choose();
    const stream = session.openStream() ?? this.#anyStream();
    if (stream === undefined) {
      throw new ProxyError(
        'TOO_MANY_CONNECTIONS',
        `no more connections to ${this.#parts.destination} fit in`,
        {
          hint: 'more sessions take more: --sessions auto',
        },
      );
    }
    return stream;
  }

  /** Ends all sessions, and their connections with them. Never rejects. */
  async close(): Promise<void> {
    this.#ending.abort();
    this.#looking?.cancel();
    await Promise.all(this.sessions.map((session) => session.terminate()));
    await Promise.allSettled(this.#openings);
  }

  // ---- which session -----------------------------------------------------------------------------------------

  async #choose(): Promise<Member> {
    const { sessions } = this.#parts;
    const members = [...this.#members];
    const best =
      least(members.filter(({ session, isBusy }) => !isBusy && !session.isHeldUp)) ?? least(members);
    if (best === undefined) return this.#firstOpening() ?? this.#open();
    const isFree = !best.isBusy && !best.session.isHeldUp;
    const wanted = sessions === 'auto' ? (isFree ? 0 : MAX_AUTO_SESSIONS) : sessions;
    if (members.length + this.#openings.size >= wanted) return best;
    const opening = this.#open().catch((error: unknown) => {
      this.#parts.onTrouble(asProxyError(error));
      return best;
    });
    return isFree ? best : opening;
  }

  /** What is being opened serves all who wait. */
  #firstOpening(): Promise<Member> | undefined {
    const [first] = this.#openings;
    return first;
  }

  #anyStream(): ForwardStream | undefined {
    for (const { session } of this.#members) {
      const stream = session.openStream();
      if (stream !== undefined) return stream;
    }
    return undefined;
  }

  #open(): Promise<Member> {
    const opening = this.#openOne();
    this.#openings.add(opening);
    const settle = (): void => void this.#openings.delete(opening);
    opening.then(settle, settle);
    return opening;
  }

  async #openOne(): Promise<Member> {
    const state: { member?: Member; isOver: boolean } = { isOver: false };
    const session = await this.#parts.open(
      {
        onEnd: (outcome) => {
          state.isOver = true;
          if (state.member !== undefined) this.#members.delete(state.member);
          if (outcome.kind !== 'terminated' && !this.#ending.signal.aborted)
            this.#parts.onTrouble(this.#reason(outcome));
        },
      },
      this.#ending.signal,
    );
    const now = this.#parts.clock.now();
    const member: Member = { session, idleSince: now, isBusy: false, seenReceived: 0, seenSent: 0 };
    if (state.isOver) throw new ProxyError('SESSION_ENDED', `session ${session.sessionId} ended at once`);
    state.member = member;
    this.#members.add(member);
    this.#look();
    return member;
  }

  #reason(outcome: SessionOutcome): ProxyError {
    if (outcome.kind === 'failed') return outcome.error;
    return new ProxyError('SESSION_ENDED', `the session to ${this.#parts.destination} was ended`, {
      hint: 'the next connection opens another',
    });
  }

  // ---- time --------------------------------------------------------------------------------------------------

  #look(): void {
    if (this.#looking !== undefined || this.#ending.signal.aborted) return;
    this.#looking = this.#parts.clock.setTimer(LOOK_MS, () => {
      this.#looking = undefined;
      const now = this.#parts.clock.now();
      for (const member of [...this.#members]) this.#lookAt(member, now);
      if (this.#members.size > 0) this.#look();
    });
  }

  #lookAt(member: Member, now: number): void {
    const { receivedBytes, sentBytes, streams } = member.session.stats();
    const most = Math.max(receivedBytes - member.seenReceived, sentBytes - member.seenSent);
    member.isBusy = most * (1_000 / LOOK_MS) > BUSY_BYTES_PER_SECOND;
    member.seenReceived = receivedBytes;
    member.seenSent = sentBytes;
    if (streams > 0) {
      member.idleSince = now;
      return;
    }
    const { sessions, idleMs = Infinity } = this.#parts;
    const isExtra = sessions === 'auto' && this.#members.size > 1;
    if (now - member.idleSince < (isExtra ? Math.min(EXTRA_IDLE_MS, idleMs) : idleMs)) return;
    this.#members.delete(member);
    void member.session.terminate();
  }
}

function least(members: readonly Member[]): Member | undefined {
  let best: Member | undefined;
  let fewest = Infinity;
  for (const member of members) {
    const { streams } = member.session.stats();
    if (streams < fewest) [best, fewest] = [member, streams];
  }
  return best;
}
