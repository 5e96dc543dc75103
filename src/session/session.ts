/**
 * The driver of a channel: it feeds the channel, performs its actions, and owns the one timer.
 *
 * A session outlives its links (link-keeper.ts). Any end of the WebSocket other than the session's own
 * (channel_closed) is a loss, whatever its close code: the service closes every data channel about hourly with code
 * 1000. Before that hour the link is renewed at a moment when nothing is in flight (renewal.ts), and a far end that
 * gives no sign of life is looked after (life-watch.ts).
 *
 * `onEnd` is called exactly once. After it nothing is called any more.
 */
import type { TimerHandle } from '../clock.ts';
import type { ProxyError } from '../errors.ts';
import { asProxyError } from '../errors.ts';
import type { LogFields } from '../log.ts';
import type { Action } from '../protocol/actions.ts';
import type { ChannelStats } from '../protocol/channel.ts';
import { Channel } from '../protocol/channel.ts';
import type { PaceLesson } from '../protocol/pace-search.ts';
import type { DataKeyOutcome, DataKeyRequest, SessionFacts } from '../protocol/handshake.ts';
import type { TerminalSize } from '../protocol/payloads.ts';
import type {
  PaceMemory,
  SessionDependencies,
  SessionEvents,
  SessionOptions,
  SessionOutcome,
} from './contract.ts';
import { HeldData } from './held-data.ts';
import { LifeWatch } from './life-watch.ts';
import type { LifeFacts } from './life-watch.ts';
import { LinkKeeper } from './link-keeper.ts';
import { HOLD_LIMIT_BYTES, Renewal, renewalTimes } from './renewal.ts';
import { RENEW_AFTER_MS } from './times.ts';

export type {
  SessionApi,
  SessionDependencies,
  SessionEvents,
  SessionGrant,
  SessionOptions,
  SessionOutcome,
  SessionTimes,
} from './contract.ts';

/** Bound on everything that `terminate` waits for: the process must be gone 2 s after ssh. */
export const TERMINATE_TIMEOUT_MS = 1_500;
/** Bound on a look at instance and agent. */
const DIAGNOSE_TIMEOUT_MS = 10_000;
/** The same when the session is known to be over and only the reason is wanted. */
const REASON_TIMEOUT_MS = 2_000;
/** After a sleep of the machine the link must answer within this. */
const WAKE_PONG_MS = 3_000;
/** The clock is looked at no less often, to notice a sleep soon after it. */
const CLOCK_LOOK_MS = 5_000;

export class Session {
  readonly #sessionId: string;
  readonly #dependencies: SessionDependencies;
  readonly #events: SessionEvents;
  readonly #channel: Channel;
  readonly #keeper: LinkKeeper;
  readonly #renewal: Renewal;
  readonly #life: LifeWatch;
  readonly #held: HeldData;

  readonly #autoPace: PaceMemory | undefined;
  #timer: TimerHandle | undefined;
  #timerAt = Infinity;
  #seenProgress = 0;
  #isDrainedReported = true;
  #isDiagnosing = false;
  #isEnded = false;
  #shutdown: Promise<void> | undefined;
  #shutdownOutcome: SessionOutcome | undefined;
  #onFlagAcknowledged: (() => void) | undefined;

  constructor(options: SessionOptions, dependencies: SessionDependencies, events: SessionEvents) {
    const { clock, randomBytes } = dependencies;
    this.#sessionId = options.grant.sessionId;
    this.#dependencies = dependencies;
    this.#autoPace = options.autoPace;
    this.#events = events;
    this.#channel = new Channel({
      sessionId: options.grant.sessionId,
      targetId: options.targetId,
      messagesPerSecond: options.messagesPerSecond,
      recallPace: options.autoPace?.recall.bind(options.autoPace),
      pendingLimitBytes: options.pendingLimitBytes,
      ...(options.handshakeTimeoutMs !== undefined && { handshakeTimeoutMs: options.handshakeTimeoutMs }),
      randomBytes,
      wallClock: () => clock.wallNow(),
    });
    this.#renewal = new Renewal(renewalTimes(options.renewAfterMs ?? RENEW_AFTER_MS));
    this.#life = new LifeWatch(clock.now(), clock.wallNow());
    this.#held = new HeldData((data, stream) => events.onData(data, stream));
    this.#keeper = new LinkKeeper(options.grant, options, dependencies, () => this.#channel.progress, {
      onUp: () => this.#linkUp(),
      onMessage: (data, hasMore) => this.#receive(data, hasMore),
      onDown: () => this.#linkDown(),
      onGivenUp: (error, isOver) => void this.#givenUp(error, isOver),
      note: (event, fields) => this.#note(event, fields),
    });
  }

  get sessionId(): string {
    return this.#sessionId;
  }

  /** What the handshake told; undefined before its end. */
  get facts(): SessionFacts | undefined {
    return this.#channel.facts;
  }

  /** Links opened after the first one. */
  get resumes(): number {
    return this.#keeper.resumes;
  }

  stats(): ChannelStats {
    return this.#channel.stats();
  }

  /** Opens the first link. Call once. */
  open(): void {
    this.#keeper.open();
    this.#arm();
  }

  /** Takes bytes that must not change afterwards. False: wait for `onWritable`. */
  write(data: Buffer): boolean {
    if (this.#isEnded) return true;
    this.#isDrainedReported = false;
    const hasRoom = this.#channel.write(data, this.#now());
    this.#perform();
    return hasRoom;
  }

  /**
   * Asks whether the agent is connected to the port, without a byte for the far end: `onDrained` comes when it is.
   * Once `onReady` was called.
   */
  probe(): void {
    if (this.#isEnded) return;
    this.#isDrainedReported = false;
    this.#channel.probe(this.#now());
    this.#perform();
  }

  /** Tells the far side the size of the terminal. Once `onReady` was called. */
  resize(size: TerminalSize): void {
    if (this.#isEnded) return;
    this.#channel.resize(size, this.#now());
    this.#perform();
  }

  /** Sends a Flag message (FLAG of protocol/payloads.ts) ahead of what waits to be sent. Once `onReady` was called. */
  flag(flag: number): void {
    if (this.#isEnded) return;
    this.#isDrainedReported = false;
    this.#channel.flag(flag, this.#now());
    this.#perform();
  }

  /** Has an agent that carries one connection at a time connect to the port: it does so for any stream message. */
  nudge(): void {
    if (this.#isEnded) return;
    this.#isDrainedReported = false;
    this.#channel.nudge(this.#now());
    this.#perform();
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
    const { api, clock } = this.#dependencies;
    this.#note('session_ending', { outcome: outcomeText(outcome) });
    this.#keeper.stopResuming();
    const bound = new AbortController();
    const timer = clock.setTimer(TERMINATE_TIMEOUT_MS, () => bound.abort());
    const acknowledged = new Promise<void>((resolve) => {
      this.#onFlagAcknowledged = resolve;
      bound.signal.addEventListener('abort', () => resolve());
      if (!this.#channel.terminate(this.#now())) resolve();
    });
    this.#perform();
    const called = api.terminate(bound.signal).catch((thrown: unknown) => {
      this.#note('terminate_call_failed', { code: asProxyError(thrown).code });
    });
    await Promise.race([
      Promise.all([acknowledged, called]),
      new Promise<void>((resolve) => bound.signal.addEventListener('abort', () => resolve())),
    ]);
    timer.cancel();
    this.#end(outcome);
  }

  // ---- link --------------------------------------------------------------------------------------------------

  #linkUp(): void {
    if (this.#isEnded) return;
    const now = this.#now();
    this.#renewal.linkUp(now);
    this.#channel.linkUp(now);
    if (this.resumes > 0 && this.#channel.state === 'ready') this.#events.onLink?.('restored');
    this.#perform();
  }

  #linkDown(): void {
    if (this.#isEnded) return;
    this.#renewal.linkDown();
    this.#channel.linkDown(this.#now());
    if (this.#channel.state === 'ready') this.#events.onLink?.('lost');
    this.#release();
    this.#perform();
  }

  /** What a read of the socket brings is answered together: one write, one delivery. */
  #receive(data: Buffer, hasMore: boolean): void {
    if (this.#isEnded) return;
    const now = this.#now();
    this.#dependencies.recorder?.received(now, data);
    this.#channel.receive(data, now);
    if (!hasMore) this.#perform();
  }

  /** The service's word that the session is over gets its reason from a look at the instance, where one can be had. */
  async #givenUp(error: ProxyError, isOver: boolean): Promise<void> {
    // Before the handshake nothing ran that could have gone: the error itself is the reason.
    const reason = this.#channel.state === 'ready' ? await this.#diagnose(REASON_TIMEOUT_MS) : undefined;
    const outcome: SessionOutcome = { kind: 'failed', error: reason ?? error };
    if (isOver) this.#end(outcome);
    else await this.terminate(outcome);
  }

  // ---- actions -----------------------------------------------------------------------------------------------

  #perform(): void {
    for (const action of this.#channel.take()) {
      if (this.#isEnded) return;
      this.#performOne(action);
    }
    if (this.#isEnded) return;
    const now = this.#now();
    if (this.#channel.progress !== this.#seenProgress) {
      this.#seenProgress = this.#channel.progress;
      this.#renewal.traffic(now);
    }
    this.#life.observe(now, this.#lifeFacts());
    this.#controlReading();
    if (this.#channel.isDrained) this.#drained();
    this.#arm();
  }

  #performOne(action: Action): void {
    switch (action.kind) {
      case 'send':
        this.#send(action.messages);
        return;
      case 'deliver':
        this.#held.deliver(action.data, action.stream);
        return;
      case 'ready':
        this.#note('ready', {
          sessionType: action.facts.sessionType,
          agentVersion: action.facts.agentVersion,
        });
        this.#events.onReady(action.facts);
        return;
      case 'notice':
        this.#events.onNotice(action.text);
        return;
      case 'dataKeyWanted':
        void this.#fetchDataKey(action.request);
        return;
      case 'paceLearnt':
        this.#paceLearnt(action.agentVersion, action.lesson);
        return;
      case 'writable':
        this.#events.onWritable();
        return;
      case 'flag':
        this.#events.onFlag?.(action.flag);
        return;
      case 'exitCode':
        this.#note('exit_code', { exitCode: action.exitCode });
        this.#events.onExitCode?.(action.exitCode);
        return;
      case 'oddity':
        this.#note(action.event, { detail: action.detail });
        return;
      case 'closed':
        this.#release();
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

  #paceLearnt(agentVersion: string, lesson: PaceLesson): void {
    const { payloadBytes, messagesPerSecond, trial } = lesson;
    this.#note('pace', {
      payloadBytes,
      messagesPerSecond,
      trial: trial === undefined ? undefined : `${trial.payloadBytes} x ${trial.messagesPerSecond}`,
    });
    this.#autoPace?.learn(agentVersion, lesson);
  }

  #send(messages: readonly Buffer[]): void {
    const { link } = this.#keeper;
    if (link === undefined) return;
    const { recorder } = this.#dependencies;
    if (recorder !== undefined) {
      const now = this.#now();
      for (const message of messages) recorder.sent(now, message);
    }
    link.send(messages);
  }

  async #fetchDataKey(request: DataKeyRequest): Promise<void> {
    const outcome = await this.#dependencies.api
      .dataKey(request)
      .catch((thrown: unknown): DataKeyOutcome => ({ failure: asProxyError(thrown).message }));
    if (this.#isEnded) return;
    this.#channel.dataKey(outcome, this.#now());
    this.#perform();
  }

  #drained(): void {
    this.#onFlagAcknowledged?.();
    if (this.#isDrainedReported) return;
    this.#isDrainedReported = true;
    this.#events.onDrained();
  }

  /** A slow user stops the socket, so that nothing is lost; held data is not the user's slowness. */
  #controlReading(): void {
    const { link } = this.#keeper;
    if (link === undefined) return;
    const isFull = this.#held.isHolding ? this.#held.bytes >= 2 * HOLD_LIMIT_BYTES : this.#channel.isFull;
    if (isFull) link.pauseReading();
    else if (this.#held.isHolding || this.#channel.wantsMore) link.resumeReading();
  }

  // ---- renewal and signs of life -------------------------------------------------------------------------------

  #renewIfDue(now: number): void {
    const decision = this.#renewal.decide(now, {
      isSettled: this.#channel.isSettled && this.#keeper.link?.isReadingPaused === false,
      heldBytes: this.#held.bytes,
      roundTripMs: this.#channel.stats().roundTripMs,
    });
    switch (decision) {
      case 'wait':
        return;
      case 'hold':
        this.#note('renewal_hold');
        this.#held.hold();
        this.#channel.hold(true, now);
        return;
      case 'release':
        this.#note('renewal_not_possible', { heldBytes: this.#held.bytes });
        this.#release();
        return;
      case 'renew':
        this.#note('renewal', { heldBytes: this.#held.bytes });
        this.#keeper.renew();
        return;
    }
  }

  #release(): void {
    if (!this.#held.isHolding) return;
    this.#channel.hold(false, this.#now());
    this.#held.release();
  }

  #lookAfterLife(now: number): void {
    switch (this.#life.verdict(now, this.#lifeFacts())) {
      case 'well':
        return;
      case 'replaceLink':
        this.#note('link_stalled', { silentMs: Math.round(this.#life.silentMs(now)) });
        this.#keeper.replace('no sign of life');
        return;
      case 'lookUp':
        void this.#endIfGone();
        return;
    }
  }

  async #endIfGone(): Promise<void> {
    const error = await this.#diagnose(DIAGNOSE_TIMEOUT_MS);
    if (error !== undefined && !this.#isEnded) await this.terminate({ kind: 'failed', error });
  }

  async #diagnose(timeoutMs: number): Promise<ProxyError | undefined> {
    const { api, clock } = this.#dependencies;
    if (api.diagnose === undefined || this.#isDiagnosing || this.#isEnded) return undefined;
    this.#isDiagnosing = true;
    const bound = new AbortController();
    const timer = clock.setTimer(timeoutMs, () => bound.abort());
    try {
      return await api.diagnose(bound.signal);
    } catch (thrown) {
      this.#note('diagnosis_failed', { code: asProxyError(thrown).code });
      return undefined;
    } finally {
      timer.cancel();
      this.#isDiagnosing = false;
    }
  }

  #lifeFacts(): LifeFacts {
    const { link } = this.#keeper;
    return {
      isLinkUp: link !== undefined,
      hasUnacked: !this.#channel.isSettled,
      isReadingPaused: link?.isReadingPaused ?? false,
      progress: this.#channel.progress,
    };
  }

  // ---- timer -------------------------------------------------------------------------------------------------

  /** It is moved only when something becomes due earlier; firing early is harmless. */
  #arm(): void {
    if (this.#isEnded) return;
    const now = this.#now();
    const { link } = this.#keeper;
    // A session that is being ended is neither renewed nor looked after: their time would stay due.
    const isEnding = this.#shutdown !== undefined;
    const at = Math.min(
      this.#channel.deadline() ?? Infinity,
      link?.deadline() ?? Infinity,
      (isEnding ? undefined : this.#renewal.deadline(now)) ?? Infinity,
      (isEnding ? undefined : this.#life.deadline(link !== undefined)) ?? Infinity,
      now + CLOCK_LOOK_MS,
    );
    if (this.#timer !== undefined && this.#timerAt <= at) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#dependencies.clock.setTimer(Math.max(0, Math.ceil(at - now)), () => this.#tick());
  }

  #tick(): void {
    this.#timer = undefined;
    if (this.#isEnded) return;
    const { clock } = this.#dependencies;
    const now = clock.now();
    if (this.#life.hasJumped(now, clock.wallNow(), this.#timerAt)) {
      this.#note('clock_jumped');
      this.#keeper.link?.probe(WAKE_PONG_MS);
      this.#keeper.hurry();
    }
    this.#keeper.link?.tick(now);
    this.#channel.tick(now);
    if (!this.#isEnded && this.#shutdown === undefined) {
      this.#renewIfDue(now);
      this.#lookAfterLife(now);
    }
    this.#perform();
    this.#arm();
  }

  // ---- end ---------------------------------------------------------------------------------------------------

  #end(outcome: SessionOutcome): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#timer?.cancel();
    this.#onFlagAcknowledged?.();
    this.#keeper.close();
    const { sentBytes, receivedBytes, resends, duplicates, roundTripMs } = this.#channel.stats();
    this.#note('session_end', {
      outcome: outcomeText(outcome),
      sentBytes,
      receivedBytes,
      resends,
      duplicates,
      roundTripMs: Math.round(roundTripMs),
      resumes: this.resumes,
    });
    this.#events.onEnd(outcome);
  }

  #note(event: string, fields?: LogFields): void {
    this.#dependencies.log.info(event, fields);
    this.#dependencies.recorder?.event(this.#now(), event, fields);
  }

  #now(): number {
    return this.#dependencies.clock.now();
  }
}

function outcomeText(outcome: SessionOutcome): string {
  return outcome.kind === 'failed' ? outcome.error.code : outcome.kind;
}
