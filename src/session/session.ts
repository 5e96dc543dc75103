/**
 * The driver of a channel: links, timers and the AWS calls around it.
 *
 * It feeds the channel, performs its actions, and replaces a lost link: ResumeSession for a new token, a new
 * WebSocket, the same channel. Any end of the WebSocket other than the session's own (channel_closed) is a loss,
 * whatever its close code: the service closes every data channel about hourly with code 1000.
 *
 * `onEnd` is called exactly once. After it nothing is called any more.
 */
import { randomUUID } from 'node:crypto';
import type { Clock, TimerHandle } from '../clock.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import type { Log, LogFields } from '../log.ts';
import { redactUrl } from '../log.ts';
import type { Action } from '../protocol/actions.ts';
import type { ChannelStats } from '../protocol/channel.ts';
import { Channel } from '../protocol/channel.ts';
import type { DataKeyOutcome, DataKeyRequest, SessionFacts } from '../protocol/handshake.ts';
import { CLIENT_VERSION } from '../protocol/limits.ts';
import type { Connect, Transport, TransportClose } from '../transport/transport.ts';
import type { FlightRecorder } from './flight-recorder.ts';
import { ResumeBudget, isFinal } from './reconnect.ts';

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
}

export type SessionOutcome =
  /** The far end is over. `output` is its reason, empty when all is well. */
  | { readonly kind: 'ended'; readonly output: string; readonly isTruncated: boolean }
  /** We ended it. */
  | { readonly kind: 'terminated' }
  | { readonly kind: 'failed'; readonly error: ProxyError };

export interface SessionEvents {
  onReady(facts: SessionFacts): void;
  /** Stream bytes; give them back with `consumed`. */
  onData(data: Buffer, stream: 'stdout' | 'stderr'): void;
  /** Room to write again. */
  onWritable(): void;
  /** Everything written so far has been acknowledged by the agent. */
  onDrained(): void;
  onNotice(text: string): void;
  onEnd(outcome: SessionOutcome): void;
}

export interface SessionOptions {
  readonly grant: SessionGrant;
  readonly targetId: string;
  /** Undefined: no pace. */
  readonly messagesPerSecond: number | undefined;
  /** How long one loss may take to mend. Milliseconds. */
  readonly resumeTimeoutMs?: number;
  readonly pingIntervalMs?: number;
  readonly pongTimeoutMs?: number;
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

export const RESUME_TIMEOUT_MS = 600_000;
/** Load balancers and proxies cut silent connections after 60 s and more; the official client pings every 5 min. */
export const PING_INTERVAL_MS = 25_000;
export const PONG_TIMEOUT_MS = 10_000;
/** Bound on everything that `terminate` waits for: the process must be gone 2 s after ssh. */
export const TERMINATE_TIMEOUT_MS = 1_500;

export class Session {
  readonly #dependencies: SessionDependencies;
  readonly #events: SessionEvents;
  readonly #channel: Channel;
  readonly #clientId = randomUUID();
  /** Ends attempts to resume. */
  readonly #resuming = new AbortController();
  readonly #budget: ResumeBudget;
  readonly #pingIntervalMs: number;
  readonly #pongTimeoutMs: number;

  #grant: SessionGrant;
  #transport: Transport | undefined;
  #isLinkUp = false;
  #isReadingPaused = false;
  #pingAt: number | undefined;
  #pongBy: number | undefined;
  #timer: TimerHandle | undefined;
  #timerAt = Infinity;
  #resumes = 0;
  #isEnded = false;
  #isDrainedReported = true;
  #linkUpAt = 0;
  #progressAtLinkUp = 0;
  #shutdown: Promise<void> | undefined;
  #shutdownOutcome: SessionOutcome | undefined;
  #onFlagAcknowledged: (() => void) | undefined;

  constructor(options: SessionOptions, dependencies: SessionDependencies, events: SessionEvents) {
    this.#dependencies = dependencies;
    this.#events = events;
    this.#grant = options.grant;
    this.#budget = new ResumeBudget(options.resumeTimeoutMs ?? RESUME_TIMEOUT_MS);
    this.#pingIntervalMs = options.pingIntervalMs ?? PING_INTERVAL_MS;
    this.#pongTimeoutMs = options.pongTimeoutMs ?? PONG_TIMEOUT_MS;
    this.#channel = new Channel({
      sessionId: options.grant.sessionId,
      targetId: options.targetId,
      messagesPerSecond: options.messagesPerSecond,
      randomBytes: dependencies.randomBytes,
      wallClock: () => dependencies.clock.wallNow(),
    });
  }

  get sessionId(): string {
    return this.#grant.sessionId;
  }

  /** What the handshake told; undefined before its end. */
  get facts(): SessionFacts | undefined {
    return this.#channel.facts;
  }

  get resumes(): number {
    return this.#resumes;
  }

  stats(): ChannelStats {
    return this.#channel.stats();
  }

  /** Opens the first link. Call once. */
  open(): void {
    this.#openLink();
  }

  /** Takes bytes that must not change afterwards. False: wait for `onWritable`. */
  write(data: Buffer): boolean {
    if (this.#isEnded) return true;
    this.#isDrainedReported = false;
    const hasRoom = this.#channel.write(data, this.#now());
    this.#perform();
    return hasRoom;
  }

  /** Bytes given to `onData` have left. */
  consumed(bytes: number): void {
    if (this.#isEnded) return;
    this.#channel.consumed(bytes, this.#now());
    this.#perform();
  }

  /**
   * Ends the session: TerminateSession flag on the channel and the API call, side by side, both bounded. Resolves
   * when the far end knows, or the bound has passed; never rejects. `onEnd` has been called by then.
   */
  terminate(outcome: SessionOutcome = { kind: 'terminated' }): Promise<void> {
    this.#shutdownOutcome ??= outcome;
    this.#shutdown ??= this.#shutDown(this.#shutdownOutcome);
    return this.#shutdown;
  }

  async #shutDown(outcome: SessionOutcome): Promise<void> {
    if (this.#isEnded) return;
    const { api, clock, log } = this.#dependencies;
    this.#note('session_ending', { outcome: outcomeText(outcome) });
    this.#resuming.abort();
    const bound = new AbortController();
    const timer = clock.setTimer(TERMINATE_TIMEOUT_MS, () => bound.abort());
    const acknowledged = new Promise<void>((resolve) => {
      this.#onFlagAcknowledged = resolve;
      bound.signal.addEventListener('abort', () => resolve());
      if (!this.#channel.terminate(this.#now())) resolve();
    });
    this.#perform();
    const called = api.terminate(bound.signal).catch((thrown: unknown) => {
      const { code } = asProxyError(thrown);
      log.debug('terminate_call_failed', { code });
      this.#note('terminate_call_failed', { code });
    });
    await Promise.race([
      Promise.all([acknowledged, called]),
      new Promise<void>((resolve) => bound.signal.addEventListener('abort', () => resolve())),
    ]);
    timer.cancel();
    this.#end(outcome);
  }

  // ---- link --------------------------------------------------------------------------------------------------

  #openLink(): void {
    const { connect, log } = this.#dependencies;
    log.debug('link_opening', { url: redactUrl(this.#grant.streamUrl), resumes: this.#resumes });
    this.#note('link_opening', { resumes: this.#resumes });
    let transport: Transport | undefined = undefined;
    const isCurrent = (): boolean =>
      !this.#isEnded && (transport === undefined || transport === this.#transport);
    transport = connect(this.#grant.streamUrl, {
      onOpen: () => {
        if (isCurrent()) this.#linkUp();
      },
      onMessage: (data, isBinary) => {
        // The official client parses text messages the same way.
        if (isCurrent()) this.#receive(data, isBinary);
      },
      onPong: () => {
        if (isCurrent()) this.#pong();
      },
      onDrain: () => {},
      onClose: (info) => {
        if (isCurrent()) this.#linkLost(info);
      },
    });
    this.#transport = transport;
  }

  #linkUp(): void {
    const now = this.#now();
    this.#transport?.sendText(
      JSON.stringify({
        MessageSchemaVersion: '1.0',
        RequestId: randomUUID(),
        TokenValue: this.#grant.tokenValue,
        ClientId: this.#clientId,
        ClientVersion: CLIENT_VERSION,
      }),
    );
    this.#isLinkUp = true;
    this.#linkUpAt = now;
    this.#progressAtLinkUp = this.#channel.progress;
    this.#isReadingPaused = false;
    this.#pongBy = undefined;
    this.#pingAt = now + this.#pingIntervalMs;
    this.#dependencies.log.info('link_up', { sessionId: this.sessionId, resumes: this.#resumes });
    this.#note('link_up');
    this.#channel.linkUp(now);
    this.#perform();
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (!isBinary) this.#dependencies.log.debug('text_message', { bytes: data.length });
    const now = this.#now();
    this.#dependencies.recorder?.received(now, data);
    this.#channel.receive(data, now);
    this.#perform();
  }

  #pong(): void {
    this.#pongBy = undefined;
    this.#note('pong');
  }

  #linkLost(info: TransportClose): void {
    const { log } = this.#dependencies;
    const wasUp = this.#isLinkUp;
    this.#isLinkUp = false;
    this.#transport = undefined;
    this.#pingAt = undefined;
    this.#pongBy = undefined;
    this.#channel.linkDown(this.#now());
    const error = info.error === undefined ? undefined : asProxyError(info.error);
    const lost = { closeCode: info.code, wasUp, error: error?.code, httpStatus: info.httpStatus };
    log.info('link_lost', lost);
    this.#note('link_lost', { ...lost, reason: info.reason === '' ? undefined : info.reason });
    if (this.#shutdown !== undefined) return;
    if (!wasUp && error !== undefined && isFinal(error)) {
      void this.terminate({ kind: 'failed', error });
      return;
    }
    const livedMs = wasUp ? this.#now() - this.#linkUpAt : 0;
    // A link that never came up carried nothing, whatever the one before it did.
    const hasCarriedData = wasUp && this.#channel.progress > this.#progressAtLinkUp;
    this.#budget.linkLost(this.#now(), livedMs, hasCarriedData);
    void this.#resume(error);
  }

  /** Resumes within the budget. Every attempt asks for fresh credentials, a new token and a new link. */
  async #resume(lastError: ProxyError | undefined): Promise<void> {
    const { api, clock, log, randomBytes } = this.#dependencies;
    const { signal } = this.#resuming;
    for (;;) {
      const delayMs = this.#budget.nextDelayMs(clock.now(), (randomBytes(1)[0] ?? 0) / 256);
      if (delayMs === undefined) {
        void this.terminate({ kind: 'failed', error: lostError(this.sessionId, lastError) });
        return;
      }
      this.#note('resume_attempt', { attempt: this.#budget.attempts, delayMs: Math.round(delayMs) });
      if (delayMs > 0) await this.#sleep(delayMs);
      if (signal.aborted) return;
      try {
        const grant = await api.resume(signal);
        if (signal.aborted) return;
        const streamUrl = grant.streamUrl === '' ? this.#grant.streamUrl : grant.streamUrl;
        this.#grant = { ...grant, sessionId: this.sessionId, streamUrl };
        this.#resumes += 1;
        this.#openLink();
        return;
      } catch (thrown) {
        if (signal.aborted) return;
        lastError = asProxyError(thrown);
        log.info('resume_failed', { attempt: this.#budget.attempts, code: lastError.code });
        this.#note('resume_failed', { attempt: this.#budget.attempts, code: lastError.code });
        if (isFinal(lastError)) {
          if (lastError.code === 'SESSION_GONE') this.#end({ kind: 'failed', error: lastError });
          else void this.terminate({ kind: 'failed', error: lastError });
          return;
        }
      }
    }
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#dependencies.clock.setTimer(delayMs, resolve);
      this.#resuming.signal.addEventListener(
        'abort',
        () => {
          timer.cancel();
          resolve();
        },
        { once: true },
      );
    });
  }

  // ---- actions -----------------------------------------------------------------------------------------------

  #perform(): void {
    for (const action of this.#channel.take()) {
      if (this.#isEnded) return;
      this.#performOne(action);
    }
    if (this.#isEnded) return;
    this.#controlReading();
    if (this.#channel.isDrained) {
      this.#onFlagAcknowledged?.();
      if (!this.#isDrainedReported) {
        this.#isDrainedReported = true;
        this.#events.onDrained();
      }
    }
    this.#arm();
  }

  #performOne(action: Action): void {
    switch (action.kind) {
      case 'send':
        this.#send(action.messages);
        return;
      case 'deliver':
        this.#events.onData(action.data, action.stream);
        return;
      case 'ready':
        this.#ready(action.facts);
        return;
      case 'notice':
        this.#events.onNotice(action.text);
        return;
      case 'dataKeyWanted':
        void this.#fetchDataKey(action.request);
        return;
      case 'writable':
        this.#events.onWritable();
        return;
      case 'flag':
      case 'exitCode':
        return;
      case 'oddity':
        this.#dependencies.log.debug(action.event, { detail: action.detail });
        this.#note(action.event, { detail: action.detail });
        return;
      case 'closed':
        // While we are ending the session this is the answer to it, not the reason.
        this.#end(
          this.#shutdownOutcome ?? { kind: 'ended', output: action.output, isTruncated: action.isTruncated },
        );
        return;
      case 'failed':
        void this.terminate({ kind: 'failed', error: action.error });
        return;
    }
  }

  #send(messages: readonly Buffer[]): void {
    const { recorder } = this.#dependencies;
    if (recorder !== undefined && this.#transport !== undefined) {
      const now = this.#now();
      for (const message of messages) recorder.sent(now, message);
    }
    this.#transport?.send(messages);
  }

  #ready(facts: SessionFacts): void {
    const { sessionType, agentVersion } = facts;
    this.#dependencies.log.info('ready', { sessionType, agentVersion });
    this.#note('ready', { sessionType, agentVersion });
    this.#events.onReady(facts);
  }

  async #fetchDataKey(request: DataKeyRequest): Promise<void> {
    const outcome = await this.#dependencies.api
      .dataKey(request)
      .catch((thrown: unknown): DataKeyOutcome => ({ failure: asProxyError(thrown).message }));
    if (this.#isEnded) return;
    this.#channel.dataKey(outcome, this.#now());
    this.#perform();
  }

  #controlReading(): void {
    if (!this.#isReadingPaused && this.#channel.isFull) {
      this.#isReadingPaused = true;
      this.#transport?.pause();
    } else if (this.#isReadingPaused && this.#channel.wantsMore) {
      this.#isReadingPaused = false;
      // What the peer sent meanwhile, pongs included, is still in the socket.
      this.#pongBy = undefined;
      this.#transport?.resume();
    }
  }

  // ---- timer -------------------------------------------------------------------------------------------------

  /** One timer for everything. It is moved only when something becomes due earlier; firing early is harmless. */
  #arm(): void {
    const at = Math.min(
      this.#channel.deadline() ?? Infinity,
      this.#pingAt ?? Infinity,
      this.#pongBy ?? Infinity,
    );
    if (at === Infinity || (this.#timer !== undefined && this.#timerAt <= at)) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#dependencies.clock.setTimer(Math.ceil(at - this.#now()), () => this.#tick());
  }

  #tick(): void {
    this.#timer = undefined;
    if (this.#isEnded) return;
    const now = this.#now();
    if (this.#pongBy !== undefined && now >= this.#pongBy) {
      this.#pongBy = undefined;
      // A user who does not read stops us from reading pongs too: that is not the peer's silence.
      if (!this.#isReadingPaused) {
        this.#dependencies.log.info('pong_missed');
        this.#note('pong_missed');
        this.#transport?.destroy();
        this.#linkLost({ code: 1006, reason: 'no pong', error: undefined });
        return;
      }
    }
    if (this.#pingAt !== undefined && now >= this.#pingAt) {
      this.#pingAt = now + this.#pingIntervalMs;
      this.#pongBy ??= now + this.#pongTimeoutMs;
      this.#transport?.ping();
      if (this.#transport !== undefined) this.#note('ping');
    }
    this.#channel.tick(now);
    this.#perform();
  }

  // ---- end ---------------------------------------------------------------------------------------------------

  #end(outcome: SessionOutcome): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#timer?.cancel();
    this.#resuming.abort();
    this.#onFlagAcknowledged?.();
    this.#transport?.close();
    const summary = endFields(outcome, this.#channel.stats(), this.#resumes);
    this.#dependencies.log.info('session_end', summary);
    this.#note('session_end', summary);
    this.#events.onEnd(outcome);
  }

  #note(event: string, detail?: LogFields): void {
    this.#dependencies.recorder?.event(this.#now(), event, detail);
  }

  #now(): number {
    return this.#dependencies.clock.now();
  }
}

function endFields(outcome: SessionOutcome, stats: ChannelStats, resumes: number): LogFields {
  return {
    outcome: outcomeText(outcome),
    sentBytes: stats.sentBytes,
    receivedBytes: stats.receivedBytes,
    resends: stats.resends,
    duplicates: stats.duplicates,
    roundTripMs: Math.round(stats.roundTripMs),
    resumes,
  };
}

function outcomeText(outcome: SessionOutcome): string {
  return outcome.kind === 'failed' ? outcome.error.code : outcome.kind;
}

function lostError(sessionId: string, cause: ProxyError | undefined): ProxyError {
  const why = cause === undefined ? '' : `: ${cause.message}`;
  return new ProxyError(
    'SESSION_LOST',
    `the connection of session ${sessionId} was lost and could not be resumed in time${why}`,
    {
      cause,
      hint: cause?.hint ?? 'check the network, then connect again',
    },
  );
}
