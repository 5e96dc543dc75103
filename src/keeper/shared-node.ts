/**
 * The sessions to one port of one node, for one identity, and which of them a new connection rides on.
 *
 * The agent sends at most about 1 KiB a millisecond in a session, whatever its number of streams. So a session that
 * carries more than about half of that for a second is busy, and who comes then gets another one, up to a bound. A
 * session is opened once for all who wait for it. What is not wanted for the idle time is ended.
 */
import type { Duplex } from 'node:stream';
import type { Clock, TimerHandle } from '../clock.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import { NotShareable } from './node-session.ts';
import type { NodeSession, OpenNodeSession } from './node-session.ts';

/** Bytes per second in one direction, about half of what the agent sends and of the safe upload pace. */
export const BUSY_BYTES_PER_SECOND = 400 * 1024;
/** How often traffic is looked at. Milliseconds. */
const LOOK_MS = 1_000;
/** A node that cannot be shared is tried again after so long. Milliseconds. */
const DECLINED_MS = 600_000;
/** Sessions besides the first are for a rush: they go sooner. Milliseconds. */
const EXTRA_IDLE_MS = 60_000;

export interface SharedNodeParts {
  /** As typed, with the port. */
  readonly destination: string;
  readonly open: OpenNodeSession;
  readonly clock: Clock;
}

export interface StreamWish {
  readonly idleMs: number;
  readonly maxSessions: number;
  readonly onStage: (text: string) => void;
}

interface Ride {
  readonly session: NodeSession;
  readonly startedAt: number;
  streams: number;
  /** All that were ever opened. */
  opened: number;
  idleSince: number;
  isBusy: boolean;
  seenReceived: number;
  seenSent: number;
}

interface Opening {
  readonly listeners: Set<(text: string) => void>;
  readonly done: Promise<Ride>;
  lastStage: string | undefined;
}

export interface OpenedStream {
  readonly stream: Duplex;
  readonly session: NodeSession;
}

export class SharedNode {
  readonly destination: string;
  readonly #open: OpenNodeSession;
  readonly #clock: Clock;
  readonly #rides = new Set<Ride>();
  readonly #ending = new AbortController();
  #opening: Opening | undefined;
  #declined: { readonly reason: string; readonly untilMs: number } | undefined;
  #idleMs = 0;
  #looking: TimerHandle | undefined;

  constructor(parts: SharedNodeParts) {
    this.destination = parts.destination;
    this.#open = parts.open;
    this.#clock = parts.clock;
  }

  /** Nothing is open, nothing is being opened, and nothing is to be remembered. */
  get isForgettable(): boolean {
    return this.#rides.size === 0 && this.#opening === undefined && this.#declinedReason() === undefined;
  }

  get isInUse(): boolean {
    return this.#opening !== undefined || this.#rides.size > 0;
  }

  /** Rejects with NotShareable, or with the ProxyError that opening a session failed with. */
  async stream(wish: StreamWish): Promise<OpenedStream> {
    const reason = this.#declinedReason();
    if (reason !== undefined) throw new NotShareable(reason);
    this.#idleMs = Math.max(this.#idleMs, wish.idleMs);
    const ride = await this.#choose(wish);
    const stream = ride.session.openStream();
    ride.streams += 1;
    ride.opened += 1;
    stream.once('close', () => {
      ride.streams -= 1;
      ride.idleSince = this.#clock.now();
    });
    this.#look();
    return { stream, session: ride.session };
  }

  /** Opens the first session before anybody asks for it; failures are left for who does. */
  async warmUp(idleMs: number): Promise<void> {
    this.#idleMs = Math.max(this.#idleMs, idleMs);
    if (this.#rides.size > 0 || this.#declinedReason() !== undefined) return;
    await this.#openOnce(() => {}).catch(() => {});
  }

  status(): readonly Readonly<Record<string, string | number>>[] {
    const now = this.#clock.now();
    return [...this.#rides].map(({ session, startedAt, streams, opened, idleSince }) => {
      const { receivedBytes, sentBytes, roundTripMs, resumes } = session.stats();
      return {
        sessionId: session.sessionId,
        instanceId: session.instanceId,
        region: session.region,
        ageMs: Math.round(now - startedAt),
        idleMs: streams > 0 ? 0 : Math.round(now - idleSince),
        streams,
        streamsOpened: opened,
        receivedBytes,
        sentBytes,
        roundTripMs: Math.round(roundTripMs * 10) / 10,
        resumes,
      };
    });
  }

  /** Ends everything. Never rejects. */
  async end(): Promise<void> {
    this.#looking?.cancel();
    this.#ending.abort();
    const opening = this.#opening?.done.then(
      ({ session }) => session.terminate(),
      () => {},
    );
    await Promise.all([opening, ...[...this.#rides].map(({ session }) => session.terminate())]);
  }

  async #choose(wish: StreamWish): Promise<Ride> {
    const open = [...this.#rides].filter(({ session }) => session.isOpen);
    const free = least(open.filter(({ isBusy }) => !isBusy));
    if (free !== undefined) return free;
    const any = least(open);
    if (any === undefined) return this.#openOnce(wish.onStage);
    if (open.length >= wish.maxSessions) return any;
    // Better a busy one than none.
    return this.#openOnce(wish.onStage).catch(() =>
      any.session.isOpen ? any : this.#openOnce(wish.onStage),
    );
  }

  async #openOnce(onStage: (text: string) => void): Promise<Ride> {
    this.#opening ??= this.#startOpening();
    const opening = this.#opening;
    if (opening.lastStage !== undefined) onStage(opening.lastStage);
    opening.listeners.add(onStage);
    try {
      return await opening.done;
    } finally {
      opening.listeners.delete(onStage);
    }
  }

  #startOpening(): Opening {
    const listeners = new Set<(text: string) => void>();
    const onStage = (text: string): void => {
      if (this.#opening !== undefined) this.#opening.lastStage = text;
      for (const listener of listeners) listener(text);
    };
    const done = this.#openSession(onStage).finally(() => {
      this.#opening = undefined;
    });
    done.catch(() => {});
    return { listeners, done, lastStage: undefined };
  }

  async #openSession(onStage: (text: string) => void): Promise<Ride> {
    let ride: Ride | undefined;
    let hasEnded = false;
    try {
      const session = await this.#open(
        {
          onStage,
          onEnd: () => {
            hasEnded = true;
            if (ride !== undefined) this.#rides.delete(ride);
          },
        },
        this.#ending.signal,
      );
      if (hasEnded) throw new ProxyError('SESSION_ENDED', 'the session ended before it was set up');
      const now = this.#clock.now();
      const { receivedBytes, sentBytes } = session.stats();
      ride = {
        session,
        startedAt: now,
        streams: 0,
        opened: 0,
        idleSince: now,
        isBusy: false,
        seenReceived: receivedBytes,
        seenSent: sentBytes,
      };
      this.#rides.add(ride);
      this.#look();
      return ride;
    } catch (thrown) {
      if (!(thrown instanceof NotShareable)) throw asProxyError(thrown);
      this.#declined = { reason: thrown.message, untilMs: this.#clock.now() + DECLINED_MS };
      throw thrown;
    }
  }

  #declinedReason(): string | undefined {
    const declined = this.#declined;
    return declined !== undefined && this.#clock.now() < declined.untilMs ? declined.reason : undefined;
  }

  /** Looks at traffic and idleness, again and again while there is a session. */
  #look(): void {
    if (this.#looking !== undefined || this.#rides.size === 0 || this.#ending.signal.aborted) return;
    this.#looking = this.#clock.setTimer(LOOK_MS, () => {
      this.#looking = undefined;
      const now = this.#clock.now();
      for (const ride of [...this.#rides]) {
        measure(ride);
        const isFirst = ride === [...this.#rides][0];
        const idleMs = isFirst ? this.#idleMs : Math.min(this.#idleMs, EXTRA_IDLE_MS);
        if (ride.streams > 0 || now - ride.idleSince < idleMs) continue;
        this.#rides.delete(ride);
        void ride.session.terminate();
      }
      this.#look();
    });
  }
}

function least(rides: readonly Ride[]): Ride | undefined {
  return rides.reduce<Ride | undefined>(
    (best, ride) => (best === undefined || ride.streams < best.streams ? ride : best),
    undefined,
  );
}

/** Over the time since the last look. */
function measure(ride: Ride): void {
  const { receivedBytes, sentBytes } = ride.session.stats();
  const most = Math.max(receivedBytes - ride.seenReceived, sentBytes - ride.seenSent);
  ride.isBusy = most * (1_000 / LOOK_MS) > BUSY_BYTES_PER_SECOND;
  ride.seenReceived = receivedBytes;
  ride.seenSent = sentBytes;
}
