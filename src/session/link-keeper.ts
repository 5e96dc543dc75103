/**
 * Keeps a session linked: opens the first link, and replaces a lost one by ResumeSession, a new token and a new
 * WebSocket, until it succeeds, the session is over, or the budget is spent.
 *
 * Every attempt asks for fresh credentials. The first is immediate: under ssh's ServerAliveInterval 5 and
 * ServerAliveCountMax 3 an ordinary drop must be over within 15 s.
 */
import { randomUUID } from 'node:crypto';
import { ProxyError, asProxyError } from '../errors.ts';
import type { LogFields } from '../log.ts';
import { redactUrl } from '../log.ts';
import type { TransportClose } from '../transport/transport.ts';
import type { SessionDependencies, SessionGrant, SessionTimes } from './contract.ts';
import { Link } from './link.ts';
import type { LinkTimes } from './link.ts';
import { ResumeBudget, isFinal, isFinalForResume } from './reconnect.ts';
import { PING_INTERVAL_MS, PONG_TIMEOUT_MS, RESUME_TIMEOUT_MS } from './times.ts';

export interface LinkKeeperEvents {
  onUp(): void;
  /** `hasMore`: another one follows at once. */
  onMessage(data: Buffer, hasMore: boolean): void;
  /** The link has gone and a new one is being sought. */
  onDown(): void;
  /** No link will come any more. `isOver`: the service says that the session has ended. */
  onGivenUp(error: ProxyError, isOver: boolean): void;
  /** For the log and the flight recorder. */
  note(event: string, fields?: LogFields): void;
}

export class LinkKeeper {
  readonly #dependencies: SessionDependencies;
  readonly #events: LinkKeeperEvents;
  readonly #times: LinkTimes;
  readonly #budget: ResumeBudget;
  readonly #progress: () => number;
  readonly #clientId = randomUUID();
  /** Ends all attempts. */
  readonly #stopping = new AbortController();
  #grant: SessionGrant;
  #link: Link | undefined;
  #progressAtUp = 0;
  #resumes = 0;
  #hurry: (() => void) | undefined;

  /** `progress` grows with what the far end received and sent: a link that moved it was a good one. */
  constructor(
    grant: SessionGrant,
    times: SessionTimes,
    dependencies: SessionDependencies,
    progress: () => number,
    events: LinkKeeperEvents,
  ) {
    this.#grant = grant;
    this.#dependencies = dependencies;
    this.#events = events;
    this.#progress = progress;
    this.#times = {
      pingIntervalMs: times.pingIntervalMs ?? PING_INTERVAL_MS,
      pongTimeoutMs: times.pongTimeoutMs ?? PONG_TIMEOUT_MS,
    };
    this.#budget = new ResumeBudget(times.resumeTimeoutMs ?? RESUME_TIMEOUT_MS);
  }

  /** The link that is up, if one is. */
  get link(): Link | undefined {
    return this.#link?.isUp === true ? this.#link : undefined;
  }

  get resumes(): number {
    return this.#resumes;
  }

  /** Opens a link with the newest grant. */
  open(): void {
    const { connect, clock } = this.#dependencies;
    this.#events.note('link_opening', { url: redactUrl(this.#grant.streamUrl), resumes: this.#resumes });
    // Events come later than this assignment: transports call back asynchronously.
    this.#link = new Link(this.#grant, this.#clientId, connect, this.#times, () => clock.now(), {
      onUp: () => this.#up(),
      onMessage: (data, hasMore) => this.#events.onMessage(data, hasMore),
      onPing: () => this.#events.note('ping'),
      onPong: () => this.#events.note('pong'),
      onDown: (info) => this.#down(info),
    });
  }

  /** Drops the link in good order and goes for a new one: for moments when nothing is in flight. */
  renew(): void {
    const link = this.#link;
    if (link?.isUp !== true) return;
    link.close();
    this.#down({ code: 1000, reason: 'renewed', error: undefined });
  }

  /** Cuts a link that seems to carry nothing any more, and goes for a new one. */
  replace(reason: string): void {
    this.link?.drop(reason);
  }

  /** The machine slept, or a network came back: a wait between two attempts ends now. */
  hurry(): void {
    this.#hurry?.();
  }

  /** No further attempts; the link stays while it lives. */
  stopResuming(): void {
    this.#stopping.abort();
  }

  close(): void {
    this.#stopping.abort();
    this.#link?.close();
  }

  #up(): void {
    this.#progressAtUp = this.#progress();
    this.#events.note('link_up', { resumes: this.#resumes });
    this.#events.onUp();
  }

  #down(info: TransportClose): void {
    const livedMs = this.#link?.livedMs ?? 0;
    const wasUp = livedMs > 0;
    this.#link = undefined;
    const error = info.error === undefined ? undefined : asProxyError(info.error);
    this.#events.note('link_lost', {
      closeCode: info.code,
      reason: info.reason === '' ? undefined : info.reason,
      wasUp,
      error: error?.code,
      httpStatus: info.httpStatus,
    });
    this.#events.onDown();
    if (this.#stopping.signal.aborted) return;
    if (!wasUp && error !== undefined && this.#isFinal(error)) {
      this.#events.onGivenUp(error, false);
      return;
    }
    // A link that never came up carried nothing, whatever the one before it did.
    const hasCarriedData = wasUp && this.#progress() > this.#progressAtUp;
    this.#budget.linkLost(this.#dependencies.clock.now(), livedMs, hasCarriedData);
    void this.#resume(error);
  }

  /** Of an opening that failed. A session that ran is not ended by credentials that are just being replaced. */
  #isFinal(error: ProxyError): boolean {
    return this.#resumes === 0 ? isFinal(error) : isFinalForResume(error, this.#budget.attempts);
  }

  async #resume(lastError: ProxyError | undefined): Promise<void> {
    const { api, clock, randomBytes } = this.#dependencies;
    const { signal } = this.#stopping;
    for (;;) {
      const delayMs = this.#budget.nextDelayMs(clock.now(), (randomBytes(1)[0] ?? 0) / 256);
      if (delayMs === undefined) {
        this.#events.onGivenUp(lostError(this.#grant.sessionId, lastError), false);
        return;
      }
      this.#events.note('resume_attempt', { attempt: this.#budget.attempts, delayMs: Math.round(delayMs) });
      if (delayMs > 0) await this.#sleep(delayMs);
      if (signal.aborted) return;
      try {
        const grant = await api.resume(signal);
        if (signal.aborted) return;
        const streamUrl = grant.streamUrl === '' ? this.#grant.streamUrl : grant.streamUrl;
        this.#grant = { ...grant, sessionId: this.#grant.sessionId, streamUrl };
        this.#resumes += 1;
        this.open();
        return;
      } catch (thrown) {
        if (signal.aborted) return;
        lastError = asProxyError(thrown);
        this.#events.note('resume_failed', { attempt: this.#budget.attempts, code: lastError.code });
        if (isFinalForResume(lastError, this.#budget.attempts)) {
          this.#events.onGivenUp(lastError, lastError.code === 'SESSION_GONE');
          return;
        }
      }
    }
  }

  #sleep(delayMs: number): Promise<void> {
    const { signal } = this.#stopping;
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', wake);
        this.#hurry = undefined;
        resolve();
      };
      const timer = this.#dependencies.clock.setTimer(delayMs, wake);
      this.#hurry = wake;
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}

function lostError(sessionId: string, cause: ProxyError | undefined): ProxyError {
  const why = cause === undefined ? '' : `: ${cause.message}`;
  return new ProxyError(
    'SESSION_LOST',
    `the connection of session ${sessionId} was lost and could not be resumed in time${why}`,
    { cause, hint: cause?.hint ?? 'check the network, then connect again' },
  );
}
