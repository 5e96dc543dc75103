/**
 * The client's end of a data channel: a state machine without socket, clock or randomness of its own.
 *
 * The driver calls one input, performs what `take()` returns, and calls `tick` no later than `deadline()`. A channel
 * outlives its links: on `linkDown` it keeps everything unacknowledged, on `linkUp` it sends it again and goes on,
 * with sequence numbers, encryption and handshake carried over.
 *
 * Composed of: client-handshake.ts (steps before the first data), inbox.ts (order and acknowledgements of what
 * arrives), sender.ts (window, pace, resends of what leaves).
 */
import { ProxyError, asProxyError } from '../errors.ts';
import type { Action } from './actions.ts';
import { ClientHandshake } from './client-handshake.ts';
import type { DataKeyOutcome, SessionFacts } from './handshake.ts';
import { Inbox } from './inbox.ts';
import type { InboxHandler } from './inbox.ts';
import * as limits from './limits.ts';
import type { Message } from './message.ts';
import {
  FLAGS_SYN_FIN,
  MESSAGE_TYPE,
  PAYLOAD_TYPE,
  decodeMessage,
  encodeMessage,
  formatMessageId,
  isDigestValid,
} from './message.ts';
import {
  FLAG,
  formatAcknowledge,
  formatFlag,
  formatSize,
  parseAcknowledge,
  parseChannelClosed,
  parseExitCode,
  parseFlag,
} from './payloads.ts';
import type { TerminalSize } from './payloads.ts';
import { RecentAcks } from './recent-acks.ts';
import { Pause } from './pause.ts';
import type { PaceLesson } from './pace-search.ts';
import { Sender } from './sender.ts';
import type { SenderOptions } from './sender.ts';
import { REACK_DUPLICATES_FROM, TERMINATE_FLAG_ABOVE, compareVersions } from './versions.ts';

export interface ChannelOptions extends SenderOptions {
  readonly sessionId: string;
  /** Target as given to StartSession: part of the KMS encryption context. */
  readonly targetId: string;
  /** Makes the pace `auto` (pace-search.ts): what was learnt with agents of this version, undefined for nothing. */
  readonly recallPace?: ((agentVersion: string) => PaceLesson | undefined) | undefined;
  /** From the first link to HandshakeComplete. */
  readonly handshakeTimeoutMs?: number;
  /** Unpredictable bytes, for message ids and nonces. The result is used before the next call. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Milliseconds since the epoch, for headers. */
  readonly wallClock: () => number;
}

export type ChannelState = 'awaiting-request' | 'awaiting-key' | 'awaiting-complete' | 'ready' | 'closed';

export interface ChannelStats {
  readonly state: ChannelState;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly resends: number;
  readonly duplicates: number;
  readonly unackedMessages: number;
  readonly unackedBytes: number;
  readonly pendingBytes: number;
  readonly unreadBytes: number;
  readonly waitingMessages: number;
  /** Milliseconds. */
  readonly roundTripMs: number;
  readonly isStreamDataAcked: boolean;
  readonly isPaused: boolean;
}

/** What `probe` says; nobody looks at it. */
const PROBE_SIZE = { cols: 80, rows: 24 };
const NO_ACTIONS: readonly Action[] = [];

export class Channel {
  readonly #options: ChannelOptions;
  readonly #handshake: ClientHandshake;
  readonly #sender: Sender;
  readonly #inbox = new Inbox();
  readonly #recentAcks = new RecentAcks();
  readonly #inboxHandler: InboxHandler = {
    accepts: (message) => this.#accepts(message),
    acknowledge: (message) => this.#acknowledge(message),
    handle: (message) => this.#handle(message),
  };

  #isClosed = false;
  #isLinkUp = false;
  readonly #pause = new Pause();
  #isHeld = false;
  #handshakeDeadline: number | undefined;
  #unreadBytes = 0;
  #receivedBytes = 0;
  #now = 0;
  #actions: Action[] = [];
  #outgoing: Buffer[] = [];

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#handshake = new ClientHandshake(options, {
      send: (payloadType, payload) => this.#sendControl(payloadType, payload),
      emit: (action) => this.#actions.push(action),
    });
    const senderOptions = { ...options, isPaceAuto: options.recallPace !== undefined };
    this.#sender = new Sender(senderOptions, (sequenceNumber, payloadType, payload) =>
      this.#encodeStream(sequenceNumber, payloadType, payload),
    );
  }

  get state(): ChannelState {
    if (this.#isClosed) return 'closed';
    return this.#handshake.state === 'done' ? 'ready' : this.#handshake.state;
  }

  get facts(): SessionFacts | undefined {
    return this.#handshake.facts;
  }

  /** Grows whenever the far end received or sent something new. */
  get progress(): number {
    const { outbox } = this.#sender;
    return this.#inbox.expectedSequenceNumber + outbox.nextSequenceNumber - outbox.unackedMessages;
  }

  /** Nothing of ours is waiting to be sent or acknowledged. */
  get isDrained(): boolean {
    return this.#sender.isDrained;
  }

  /** All that was sent is acknowledged, and nothing that arrived waits for something before it. */
  get isSettled(): boolean {
    return this.#sender.outbox.unackedMessages === 0 && this.#inbox.waitingMessages === 0;
  }

  /** The user is slow: stop reading from the socket until `wantsMore`. */
  get isFull(): boolean {
    return this.#unreadBytes >= limits.UNREAD_PAUSE_BYTES;
  }

  get wantsMore(): boolean {
    return this.#unreadBytes <= limits.UNREAD_RESUME_BYTES;
  }

  // ---- inputs ------------------------------------------------------------------------------------------------

  /** A link is open and its open message sent: the first one, or a resumed one. */
  linkUp(now: number): void {
    if (this.#isClosed) return;
    this.#now = now;
    this.#isLinkUp = true;
    this.#pause.end();
    const isFirst = this.#handshakeDeadline === undefined;
    this.#handshakeDeadline ??= now + (this.#options.handshakeTimeoutMs ?? limits.HANDSHAKE_TIMEOUT_MS);
    if (!isFirst) this.#repeatAcks();
    this.#sender.resendAll(now, this.#outgoing);
    this.#pump();
  }

  /** The link has gone; not yet a failure. */
  linkDown(now: number): void {
    this.#now = now;
    this.#isLinkUp = false;
    this.#outgoing = [];
    this.#sender.cut(now);
    this.#reportLesson();
  }

  /** One whole binary message. The channel may keep views of it. */
  receive(data: Buffer, now: number): void {
    if (this.#isClosed) return;
    this.#now = now;
    try {
      this.#receiveMessage(decodeMessage(data));
    } catch (thrown) {
      // A broken message costs itself only: the peer sends what we do not acknowledge again.
      const error = asProxyError(thrown);
      if (error.code !== 'PROTOCOL_ERROR') throw thrown;
      this.#odd('message_dropped', error.message);
    }
    this.#pump();
  }

  /** Takes stream bytes; they must not change afterwards. False: wait for `writable` before writing more. */
  write(data: Buffer, now: number): boolean {
    if (this.#isClosed) return true;
    this.#now = now;
    this.#sender.write(data);
    this.#pump();
    return this.#sender.hasRoom();
  }

  /** The user has taken delivered bytes. */
  consumed(bytes: number, now: number): void {
    this.#now = now;
    this.#unreadBytes -= bytes;
    if (!this.#isClosed && this.#inbox.waitingMessages > 0) this.#inbox.drain(this.#inboxHandler);
  }

  /** The answer to `dataKeyWanted`. */
  dataKey(outcome: DataKeyOutcome, now: number): void {
    if (this.#isClosed) return;
    this.#now = now;
    try {
      this.#handshake.receiveDataKey(outcome);
    } catch (thrown) {
      this.#fail(asProxyError(thrown));
    }
  }

  /**
   * Sends a message that port sessions acknowledge and drop, but only while they are connected to their port
   * (protocol.md 6.4: before that everything is refused). A terminal's size is such a message.
   */
  probe(now: number): void {
    this.resize(PROBE_SIZE, now);
  }

  /** Sends a Flag message, ahead of anything not yet sent. */
  flag(flag: number, now: number): void {
    this.#now = now;
    if (this.state === 'ready') this.#sendControl(PAYLOAD_TYPE.FLAG, formatFlag(flag));
  }

  /** Sends a stream message without bytes. Not in encrypted sessions, which none that needs it is. */
  nudge(now: number): void {
    this.#now = now;
    if (this.state === 'ready') this.#sendControl(PAYLOAD_TYPE.OUTPUT, Buffer.alloc(0));
  }

  /** Tells the size of the user's terminal. Nothing is sent before the handshake is over: the agent would drop it. */
  resize(size: TerminalSize, now: number): void {
    this.#now = now;
    if (this.state === 'ready') this.#sendControl(PAYLOAD_TYPE.SIZE, formatSize(size));
  }

  /**
   * Asks the agent to end the session, ahead of anything not yet sent (which is dropped). False when no flag can be
   * sent (no link, handshake not over, agent too old): the TerminateSession API has to do it alone.
   */
  terminate(now: number): boolean {
    this.#now = now;
    this.#sender.dropPending();
    this.#sender.end();
    this.#reportLesson();
    const version = this.facts?.agentVersion;
    const isUnderstood = version === undefined || compareVersions(version, TERMINATE_FLAG_ABOVE) > 0;
    if (this.state !== 'ready' || !this.#isLinkUp || !isUnderstood) return false;
    this.#sendControl(PAYLOAD_TYPE.FLAG, formatFlag(FLAG.TERMINATE_SESSION));
    return true;
  }

  /** Holds back new stream data (what is in flight goes on), or lets it go again. */
  hold(isHeld: boolean, now: number): void {
    this.#now = now;
    this.#isHeld = isHeld;
    this.#pump();
  }

  tick(now: number): void {
    if (this.#isClosed) return;
    this.#now = now;
    if (this.state !== 'ready' && this.#handshakeDeadline !== undefined && now >= this.#handshakeDeadline) {
      this.#fail(
        new ProxyError('HANDSHAKE_FAILED', 'the agent did not complete the session handshake in time'),
      );
      return;
    }
    if (!this.#isLinkUp) return;
    this.#pause.tick(now);
    this.#sender.resendDue(now, this.#pausedProbeMs(), this.#outgoing);
    this.#pump();
  }

  /** When to call `tick`, in the driver's clock; undefined when only an input can change anything. */
  deadline(): number | undefined {
    if (this.#isClosed) return undefined;
    const handshakeBy = this.state === 'ready' ? undefined : this.#handshakeDeadline;
    if (!this.#isLinkUp) return handshakeBy;
    const at = Math.min(
      handshakeBy ?? Infinity,
      this.#sender.deadline(this.#now, this.#isGateOpen(), this.#pausedProbeMs()) ?? Infinity,
      this.#pause.deadline() ?? Infinity,
    );
    return at === Infinity ? undefined : at;
  }

  /** What to do now, in order. */
  take(): readonly Action[] {
    if (this.#outgoing.length > 0) {
      this.#actions.push({ kind: 'send', messages: this.#outgoing });
      this.#outgoing = [];
    }
    if (this.#actions.length === 0) return NO_ACTIONS;
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  stats(): ChannelStats {
    const { outbox } = this.#sender;
    return {
      state: this.state,
      sentBytes: this.#sender.sentBytes,
      receivedBytes: this.#receivedBytes,
      resends: outbox.resends,
      duplicates: this.#inbox.duplicates,
      unackedMessages: outbox.unackedMessages,
      unackedBytes: outbox.unackedStreamBytes,
      pendingBytes: this.#sender.pendingBytes,
      unreadBytes: this.#unreadBytes,
      waitingMessages: this.#inbox.waitingMessages,
      roundTripMs: outbox.roundTrip.smoothedMs,
      isStreamDataAcked: outbox.isStreamDataAcked,
      isPaused: this.#pause.isOn,
    };
  }

  // ---- receiving ---------------------------------------------------------------------------------------------

  #receiveMessage(message: Message): void {
    switch (message.messageType) {
      case MESSAGE_TYPE.OUTPUT_STREAM_DATA:
        if (!this.#isIntact(message)) return;
        this.#pause.signOfLife(this.#now);
        this.#inbox.receive(message, this.#inboxHandler);
        return;
      case MESSAGE_TYPE.ACKNOWLEDGE:
        if (!this.#isIntact(message)) return;
        this.#pause.signOfLife(this.#now);
        this.#sender.acknowledge(parseAcknowledge(message.payload), this.#now);
        if (this.#isLinkUp) this.#sender.resendDue(this.#now, undefined, this.#outgoing);
        return;
      // The service makes these three: digest and lengths may be anything, so the type alone decides.
      case MESSAGE_TYPE.START_PUBLICATION:
        this.#pause.end();
        return;
      case MESSAGE_TYPE.PAUSE_PUBLICATION:
        if (!this.#pause.isOn) this.#sender.paused(this.#now);
        this.#pause.begin(this.#now, this.#sender.outbox.roundTrip.timeoutMs);
        this.#odd('paused', 'the service asks to pause');
        return;
      case MESSAGE_TYPE.CHANNEL_CLOSED:
        this.#close(message);
        return;
      default:
        this.#odd('unknown_message_type', message.messageType);
    }
  }

  #isIntact(message: Message): boolean {
    if (isDigestValid(message)) return true;
    this.#odd('digest_mismatch', `seq ${message.sequenceNumber}`);
    return false;
  }

  #accepts(message: Message): boolean {
    if (this.#isClosed) return false;
    const isForUser =
      message.payloadType === PAYLOAD_TYPE.OUTPUT || message.payloadType === PAYLOAD_TYPE.STD_ERR;
    return !isForUser || this.#unreadBytes < limits.UNREAD_LIMIT_BYTES;
  }

  /**
   * Handles one stream message in order. A payload that is intact and yet makes no sense would come again for ever if
   * it were not acknowledged; where going on would lose the user's bytes, the session fails.
   */
  #handle(message: Message): void {
    try {
      this.#dispatch(message);
    } catch (thrown) {
      const error = asProxyError(thrown);
      const isDispensable =
        message.payloadType === PAYLOAD_TYPE.FLAG || message.payloadType === PAYLOAD_TYPE.EXIT_CODE;
      if (isDispensable) this.#odd('payload_dropped', error.message);
      else this.#fail(error);
    }
  }

  #dispatch({ payloadType, payload }: Message): void {
    switch (payloadType) {
      case PAYLOAD_TYPE.OUTPUT:
        this.#deliver('stdout', payload);
        return;
      case PAYLOAD_TYPE.STD_ERR:
        this.#deliver('stderr', payload);
        return;
      case PAYLOAD_TYPE.HANDSHAKE_REQUEST:
        this.#handshake.receiveRequest(payload);
        this.#sender.outbox.peerReacksDuplicates = reacksDuplicates(this.facts?.agentVersion);
        return;
      case PAYLOAD_TYPE.ENC_CHALLENGE_REQUEST:
        this.#handshake.receiveChallenge(payload);
        return;
      case PAYLOAD_TYPE.HANDSHAKE_COMPLETE:
        this.#handshake.receiveComplete(payload);
        this.#searchPace();
        return;
      case PAYLOAD_TYPE.FLAG:
        this.#actions.push({ kind: 'flag', flag: parseFlag(payload) });
        return;
      case PAYLOAD_TYPE.EXIT_CODE:
        this.#actions.push({ kind: 'exitCode', exitCode: parseExitCode(this.#open(payload)) });
        return;
      default:
        this.#odd('unknown_payload_type', String(payloadType));
    }
  }

  #deliver(stream: 'stdout' | 'stderr', payload: Buffer): void {
    this.#handshake.skip();
    const data = this.#open(payload);
    if (data.length === 0) return;
    this.#unreadBytes += data.length;
    this.#receivedBytes += data.length;
    this.#actions.push({ kind: 'deliver', stream, data });
  }

  #open(payload: Buffer): Buffer {
    return this.#handshake.cipher?.open(payload) ?? payload;
  }

  #close(message: Message): void {
    let output: string;
    try {
      output = parseChannelClosed(message.payload).output;
    } catch {
      output = 'the service closed the session and its reason cannot be read';
    }
    this.#isClosed = true;
    this.#sender.cut(this.#now);
    this.#sender.end();
    this.#reportLesson();
    this.#actions.push({ kind: 'closed', output, isTruncated: this.#inbox.waitingMessages > 0 });
  }

  // ---- sending -----------------------------------------------------------------------------------------------

  #isGateOpen(): boolean {
    return this.state === 'ready' && this.#isLinkUp && !this.#pause.isOn && !this.#isHeld;
  }

  /** No stream data leaves before the handshake is over: the agent acknowledges it and throws it away. */
  #pump(): void {
    if (!this.#isGateOpen()) return;
    const mayWriteOn = this.#sender.pump(PAYLOAD_TYPE.OUTPUT, this.#now, this.#outgoing);
    if (mayWriteOn) this.#actions.push({ kind: 'writable' });
    this.#reportLesson();
  }

  /** Only port sessions drop trial messages without a trace. */
  #searchPace(): void {
    const { recallPace } = this.#options;
    const facts = this.facts;
    if (recallPace === undefined || facts?.sessionType !== 'Port' || this.state !== 'ready') return;
    this.#sender.searchPace(recallPace(facts.agentVersion ?? ''));
  }

  #reportLesson(): void {
    const lesson = this.#sender.takeLesson();
    if (lesson === undefined) return;
    this.#actions.push({ kind: 'paceLearnt', agentVersion: this.facts?.agentVersion ?? '', lesson });
  }

  /** Handshake messages and flags: ahead of the window, and kept for the next link when there is none. */
  #sendControl(payloadType: number, payload: Buffer): void {
    const message = this.#sender.message(payloadType, payload, 0, this.#now);
    if (this.#isLinkUp) this.#outgoing.push(message);
  }

  #encodeStream(sequenceNumber: number, payloadType: number, payload: Buffer): Buffer {
    const { cipher } = this.#handshake;
    return encodeMessage({
      messageType: MESSAGE_TYPE.INPUT_STREAM_DATA,
      createdDate: this.#options.wallClock(),
      sequenceNumber,
      // Of what the client sends only Output is encrypted.
      payload: cipher !== undefined && payloadType === PAYLOAD_TYPE.OUTPUT ? cipher.seal(payload) : payload,
      messageId: this.#newMessageId(),
      payloadType,
    });
  }

  #acknowledge(message: Message): void {
    if (!this.#isLinkUp) return;
    const { messageType, messageId, sequenceNumber } = message;
    const encoded = this.#encodeAck(messageType, messageId, sequenceNumber);
    this.#recentAcks.add(encoded, this.#now);
    this.#outgoing.push(encoded);
  }

  /** Those that may be lost. If there were none: one that acknowledges nothing, as an end of the agent's pause. */
  #repeatAcks(): void {
    const acks = this.#recentAcks.takeNewest(this.#sender.outbox.roundTrip.smoothedMs);
    const { OUTPUT_STREAM_DATA } = MESSAGE_TYPE;
    if (acks.length === 0) {
      const messageId = Buffer.from(this.#newMessageId());
      acks.push(this.#encodeAck(OUTPUT_STREAM_DATA, messageId, limits.UNUSED_SEQUENCE_NUMBER));
    }
    this.#outgoing.push(...acks);
  }

  #encodeAck(messageType: string, messageId: Buffer, sequenceNumber: number): Buffer {
    const text = formatAcknowledge(messageType, formatMessageId(messageId), sequenceNumber);
    return encodeMessage({
      messageType: MESSAGE_TYPE.ACKNOWLEDGE,
      createdDate: this.#options.wallClock(),
      sequenceNumber: 0,
      flags: FLAGS_SYN_FIN,
      messageId: this.#newMessageId(),
      payloadType: PAYLOAD_TYPE.NONE,
      payload: text,
    });
  }

  #pausedProbeMs(): number | undefined {
    return this.#pause.isOn ? limits.PAUSED_PROBE_MS : undefined;
  }

  /** A version 4 UUID. */
  #newMessageId(): Uint8Array {
    const id = this.#options.randomBytes(16);
    id[6] = ((id[6] ?? 0) & 0x0f) | 0x40;
    id[8] = ((id[8] ?? 0) & 0x3f) | 0x80;
    return id;
  }

  #odd(event: string, detail: string): void {
    this.#actions.push({ kind: 'oddity', event, detail });
  }

  #fail(error: ProxyError): void {
    this.#isClosed = true;
    this.#actions.push({ kind: 'failed', error });
  }
}

function reacksDuplicates(agentVersion: string | undefined): boolean {
  return agentVersion === undefined || compareVersions(agentVersion, REACK_DUPLICATES_FROM) >= 0;
}
