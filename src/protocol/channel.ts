/**
 * The client's end of a data channel: a state machine without socket, clock or randomness of its own.
 *
 * The driver calls one input, performs what `take()` returns, and calls `tick` no later than `deadline()`. A channel
 * outlives its links: on `linkDown` it keeps everything unacknowledged, on `linkUp` it sends it again and goes on,
 * with sequence numbers, encryption and handshake state carried over.
 *
 *   awaiting-request --HandshakeRequest--> [awaiting-key -->] awaiting-complete --HandshakeComplete--> ready --> closed
 *   awaiting-request --Output (agent sends no handshake: shells)--> ready
 *
 * No stream data leaves before `ready`: the agent acknowledges it and throws it away.
 */
import { ProxyError, asProxyError } from '../errors.ts';
import type { Action } from './actions.ts';
import { ByteQueue } from './byte-queue.ts';
import { NONCE_BYTES, PayloadCipher } from './cipher.ts';
import type { DataKeyOutcome, SessionFacts } from './handshake.ts';
import { SESSION_TYPE, dataKeyRequest, respond, sessionFacts } from './handshake.ts';
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
import { Outbox } from './outbox.ts';
import { Pacer } from './pacer.ts';
import type { HandshakeRequest } from './payloads.ts';
import {
  FLAG,
  formatAcknowledge,
  formatChallenge,
  formatFlag,
  formatJson,
  parseAcknowledge,
  parseChallenge,
  parseChannelClosed,
  parseExitCode,
  parseFlag,
  parseHandshakeComplete,
  parseHandshakeRequest,
} from './payloads.ts';
import { REACK_DUPLICATES_FROM, TERMINATE_FLAG_ABOVE, compareVersions } from './versions.ts';

export interface ChannelOptions {
  readonly sessionId: string;
  /** Target as given to StartSession: part of the KMS encryption context. */
  readonly targetId: string;
  /** Undefined: no pace. */
  readonly messagesPerSecond: number | undefined;
  /** Stream bytes per message; default 1024. */
  readonly payloadBytes?: number;
  /** Bytes in flight; default by pace. */
  readonly windowBytes?: number;
  readonly handshakeTimeoutMs?: number;
  /** Unpredictable bytes, for message ids and nonces. */
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

const NO_ACTIONS: readonly Action[] = [];

export class Channel {
  readonly #options: ChannelOptions;
  readonly #payloadBytes: number;
  readonly #windowBytes: number;
  readonly #outbox = new Outbox();
  readonly #inbox = new Inbox();
  readonly #pending = new ByteQueue();
  readonly #pacer: Pacer | undefined;
  readonly #inboxHandler: InboxHandler = {
    accepts: (message) => this.#accepts(message),
    acknowledge: (message) => this.#acknowledge(message),
    handle: (message) => this.#handle(message),
  };

  #state: ChannelState = 'awaiting-request';
  #facts: SessionFacts | undefined;
  #request: HandshakeRequest | undefined;
  #cipher: PayloadCipher | undefined;
  #isLinkUp = false;
  #isPaused = false;
  #isWriterWaiting = false;
  #handshakeDeadline: number | undefined;
  #unreadBytes = 0;
  #sentBytes = 0;
  #receivedBytes = 0;
  #now = 0;

  #actions: Action[] = [];
  #outgoing: Buffer[] = [];

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#payloadBytes = options.payloadBytes ?? limits.PAYLOAD_BYTES;
    const isPaced = options.messagesPerSecond !== undefined;
    this.#windowBytes =
      options.windowBytes ?? (isPaced ? limits.PACED_WINDOW_BYTES : limits.UNPACED_WINDOW_BYTES);
    this.#pacer = isPaced ? new Pacer(options.messagesPerSecond, limits.PACE_BURST_MESSAGES) : undefined;
  }

  get state(): ChannelState {
    return this.#state;
  }

  get facts(): SessionFacts | undefined {
    return this.#facts;
  }

  /** Grows whenever the far end received or sent something new. */
  get progress(): number {
    return (
      this.#inbox.expectedSequenceNumber + this.#outbox.nextSequenceNumber - this.#outbox.unackedMessages
    );
  }

  /** Nothing of ours is waiting to be sent or acknowledged. */
  get isDrained(): boolean {
    return this.#pending.length === 0 && this.#outbox.unackedMessages === 0;
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
    if (this.#state === 'closed') return;
    this.#now = now;
    this.#isLinkUp = true;
    this.#isPaused = false;
    const isFirst = this.#handshakeDeadline === undefined;
    if (isFirst)
      this.#handshakeDeadline = now + (this.#options.handshakeTimeoutMs ?? limits.HANDSHAKE_TIMEOUT_MS);
    const unacked = this.#outbox.takeAll(now);
    this.#pacer?.charge(unacked.length, now);
    for (const message of unacked) this.#outgoing.push(message);
    this.#pump();
  }

  /** The link has gone; not yet a failure. */
  linkDown(now: number): void {
    this.#now = now;
    this.#isLinkUp = false;
    this.#outgoing = [];
  }

  /** One whole binary message. The channel may keep views of it. */
  receive(data: Buffer, now: number): void {
    if (this.#state === 'closed') return;
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
    if (this.#state === 'closed') return true;
    this.#now = now;
    this.#pending.push(data);
    this.#pump();
    this.#isWriterWaiting = this.#pending.length >= limits.PENDING_HIGH_WATER_BYTES;
    return !this.#isWriterWaiting;
  }

  /** The user has taken delivered bytes. */
  consumed(bytes: number, now: number): void {
    this.#now = now;
    this.#unreadBytes -= bytes;
    if (this.#state !== 'closed' && this.#inbox.waitingMessages > 0) this.#inbox.drain(this.#inboxHandler);
  }

  /** The answer to `dataKeyWanted`. */
  dataKey(outcome: DataKeyOutcome, now: number): void {
    if (this.#state !== 'awaiting-key' || this.#request === undefined) return;
    this.#now = now;
    if ('key' in outcome) {
      const nonce = () => this.#options.randomBytes(NONCE_BYTES);
      this.#cipher = new PayloadCipher('client', outcome.key.plaintext, nonce);
    }
    this.#respond(this.#request, outcome);
  }

  /**
   * Asks the agent to end the session, ahead of anything not yet sent (which is dropped). False when no flag can be
   * sent (no link, handshake not over, agent too old): the TerminateSession API has to do it alone.
   */
  terminate(now: number): boolean {
    this.#now = now;
    this.#pending.clear();
    const version = this.#facts?.agentVersion;
    const isUnderstood = version === undefined || compareVersions(version, TERMINATE_FLAG_ABOVE) > 0;
    if (this.#state !== 'ready' || !this.#isLinkUp || !isUnderstood) return false;
    this.#sendMessage(PAYLOAD_TYPE.FLAG, formatFlag(FLAG.TERMINATE_SESSION), 0);
    return true;
  }

  tick(now: number): void {
    if (this.#state === 'closed') return;
    this.#now = now;
    if (this.#isHandshaking() && this.#handshakeDeadline !== undefined && now >= this.#handshakeDeadline) {
      this.#fail(
        new ProxyError('HANDSHAKE_FAILED', `the agent did not complete the session handshake in time`),
      );
      return;
    }
    if (!this.#isLinkUp) return;
    const due = this.#outbox.takeDue(now, this.#pausedProbeMs());
    if (due.length > 0) {
      this.#pacer?.charge(due.length, now);
      for (const message of due) this.#outgoing.push(message);
    }
    this.#pump();
  }

  /** When to call `tick`, in the driver's clock; undefined when only an input can change anything. */
  deadline(): number | undefined {
    if (this.#state === 'closed') return undefined;
    let earliest = this.#isHandshaking() ? this.#handshakeDeadline : undefined;
    if (!this.#isLinkUp) return earliest;
    const resendAt = this.#outbox.deadline(this.#pausedProbeMs());
    if (resendAt !== undefined) earliest = Math.min(earliest ?? Infinity, resendAt);
    if (this.#pacer !== undefined && this.#mayPump()) {
      earliest = Math.min(earliest ?? Infinity, this.#pacer.readyAt(this.#now));
    }
    return earliest;
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
    return {
      state: this.#state,
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
      resends: this.#outbox.resends,
      duplicates: this.#inbox.duplicates,
      unackedMessages: this.#outbox.unackedMessages,
      unackedBytes: this.#outbox.unackedStreamBytes,
      pendingBytes: this.#pending.length,
      unreadBytes: this.#unreadBytes,
      waitingMessages: this.#inbox.waitingMessages,
      roundTripMs: this.#outbox.roundTrip.smoothedMs,
      isStreamDataAcked: this.#outbox.isStreamDataAcked,
      isPaused: this.#isPaused,
    };
  }

  // ---- receiving ---------------------------------------------------------------------------------------------

  #receiveMessage(message: Message): void {
    switch (message.messageType) {
      case MESSAGE_TYPE.OUTPUT_STREAM_DATA:
        if (!this.#isIntact(message)) return;
        this.#isPaused = false;
        this.#inbox.receive(message, this.#inboxHandler);
        return;
      case MESSAGE_TYPE.ACKNOWLEDGE:
        if (!this.#isIntact(message)) return;
        this.#isPaused = false;
        this.#outbox.acknowledge(parseAcknowledge(message.payload), this.#now);
        this.#resendLost();
        return;
      // The service makes these three: digest and lengths may be anything, so the type alone decides.
      case MESSAGE_TYPE.START_PUBLICATION:
        this.#isPaused = false;
        return;
      case MESSAGE_TYPE.PAUSE_PUBLICATION:
        this.#isPaused = true;
        this.#odd('paused', 'the service asks to pause');
        return;
      case MESSAGE_TYPE.CHANNEL_CLOSED:
        this.#closed(message);
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
    if (this.#state === 'closed') return false;
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
      if (message.payloadType === PAYLOAD_TYPE.FLAG || message.payloadType === PAYLOAD_TYPE.EXIT_CODE) {
        this.#odd('payload_dropped', error.message);
      } else {
        this.#fail(error);
      }
    }
  }

  #dispatch(message: Message): void {
    switch (message.payloadType) {
      case PAYLOAD_TYPE.OUTPUT:
        this.#deliver('stdout', message);
        return;
      case PAYLOAD_TYPE.STD_ERR:
        this.#deliver('stderr', message);
        return;
      case PAYLOAD_TYPE.HANDSHAKE_REQUEST:
        this.#receiveRequest(message.payload);
        return;
      case PAYLOAD_TYPE.ENC_CHALLENGE_REQUEST:
        this.#answerChallenge(message.payload);
        return;
      case PAYLOAD_TYPE.HANDSHAKE_COMPLETE:
        this.#receiveComplete(message.payload);
        return;
      case PAYLOAD_TYPE.FLAG:
        this.#actions.push({ kind: 'flag', flag: parseFlag(message.payload) });
        return;
      case PAYLOAD_TYPE.EXIT_CODE:
        this.#actions.push({ kind: 'exitCode', exitCode: parseExitCode(this.#open(message.payload)) });
        return;
      default:
        this.#odd('unknown_payload_type', String(message.payloadType));
    }
  }

  #deliver(stream: 'stdout' | 'stderr', message: Message): void {
    if (this.#state === 'awaiting-request') this.#readyWithoutHandshake();
    const data = this.#open(message.payload);
    if (data.length === 0) return;
    this.#unreadBytes += data.length;
    this.#receivedBytes += data.length;
    this.#actions.push({ kind: 'deliver', stream, data });
  }

  #open(payload: Buffer): Buffer {
    return this.#cipher === undefined ? payload : this.#cipher.open(payload);
  }

  #acknowledge(message: Message): void {
    if (!this.#isLinkUp) return;
    const text = formatAcknowledge(
      message.messageType,
      formatMessageId(message.messageId),
      message.sequenceNumber,
    );
    this.#outgoing.push(
      encodeMessage({
        messageType: MESSAGE_TYPE.ACKNOWLEDGE,
        createdDate: this.#options.wallClock(),
        sequenceNumber: 0,
        flags: FLAGS_SYN_FIN,
        messageId: this.#newMessageId(),
        payloadType: PAYLOAD_TYPE.NONE,
        payload: Buffer.from(text, 'latin1'),
      }),
    );
  }

  #closed(message: Message): void {
    let output: string;
    try {
      output = parseChannelClosed(message.payload).output;
    } catch {
      output = 'the service closed the session and its reason cannot be read';
    }
    this.#state = 'closed';
    this.#actions.push({ kind: 'closed', output, isTruncated: this.#inbox.waitingMessages > 0 });
  }

  // ---- handshake ---------------------------------------------------------------------------------------------

  #isHandshaking(): boolean {
    return this.#state !== 'ready' && this.#state !== 'closed';
  }

  #receiveRequest(payload: Buffer): void {
    if (this.#state !== 'awaiting-request') {
      // A second response would block the agent's reader for ever.
      this.#odd('handshake_repeated', 'second HandshakeRequest ignored');
      return;
    }
    const request = parseHandshakeRequest(payload);
    this.#request = request;
    this.#facts = sessionFacts(request);
    const { agentVersion } = this.#facts;
    this.#outbox.peerReacksDuplicates =
      agentVersion === undefined || compareVersions(agentVersion, REACK_DUPLICATES_FROM) >= 0;
    const wanted = dataKeyRequest(request, this.#options.sessionId, this.#options.targetId);
    if (wanted === undefined) {
      this.#respond(request, undefined);
    } else {
      this.#state = 'awaiting-key';
      this.#actions.push({ kind: 'dataKeyWanted', request: wanted });
    }
  }

  #respond(request: HandshakeRequest, dataKey: DataKeyOutcome | undefined): void {
    this.#state = 'awaiting-complete';
    this.#sendMessage(PAYLOAD_TYPE.HANDSHAKE_RESPONSE, formatJson(respond(request, dataKey)), 0);
  }

  #answerChallenge(payload: Buffer): void {
    if (this.#cipher === undefined) {
      this.#odd('challenge_unexpected', 'encryption challenge in a session without encryption');
      return;
    }
    const secret = this.#cipher.open(parseChallenge(payload));
    this.#sendMessage(PAYLOAD_TYPE.ENC_CHALLENGE_RESPONSE, formatChallenge(this.#cipher.seal(secret)), 0);
  }

  #receiveComplete(payload: Buffer): void {
    if (this.#state !== 'awaiting-complete' || this.#facts === undefined) return;
    const text = parseHandshakeComplete(payload).CustomerMessage.trim();
    this.#state = 'ready';
    this.#actions.push({ kind: 'ready', facts: this.#facts });
    if (text !== '') this.#actions.push({ kind: 'notice', text });
  }

  /** Shells without encryption have no handshake: their first message is Output. */
  #readyWithoutHandshake(): void {
    this.#facts = {
      sessionType: SESSION_TYPE.STANDARD_STREAM,
      properties: {},
      agentVersion: undefined,
      isEncrypted: false,
    };
    this.#state = 'ready';
    this.#actions.push({ kind: 'ready', facts: this.#facts });
  }

  // ---- sending -----------------------------------------------------------------------------------------------

  #mayPump(): boolean {
    return (
      this.#pending.length > 0 &&
      this.#state === 'ready' &&
      this.#isLinkUp &&
      !this.#isPaused &&
      this.#outbox.unackedStreamBytes < this.#windowBytes
    );
  }

  /** Sends stream data as far as window and pace allow. */
  #pump(): void {
    while (this.#mayPump()) {
      if (this.#pacer !== undefined && !this.#pacer.tryTake(this.#now)) break;
      const data = this.#pending.take(this.#payloadBytes);
      this.#sentBytes += data.length;
      this.#sendMessage(
        PAYLOAD_TYPE.OUTPUT,
        this.#cipher === undefined ? data : this.#cipher.seal(data),
        data.length,
      );
    }
    if (this.#isWriterWaiting && this.#pending.length < limits.PENDING_HIGH_WATER_BYTES / 2) {
      this.#isWriterWaiting = false;
      this.#actions.push({ kind: 'writable' });
    }
  }

  /** Number, record, send: one step, so that no other message can come in between. */
  #sendMessage(payloadType: number, payload: Buffer, streamBytes: number): void {
    const encoded = encodeMessage({
      messageType: MESSAGE_TYPE.INPUT_STREAM_DATA,
      createdDate: this.#options.wallClock(),
      sequenceNumber: this.#outbox.nextSequenceNumber,
      messageId: this.#newMessageId(),
      payloadType,
      payload,
    });
    this.#outbox.add(encoded, streamBytes, this.#now);
    if (this.#isLinkUp) this.#outgoing.push(encoded);
  }

  #resendLost(): void {
    if (!this.#isLinkUp) return;
    const due = this.#outbox.takeDue(this.#now, undefined);
    this.#pacer?.charge(due.length, this.#now);
    for (const message of due) this.#outgoing.push(message);
  }

  #pausedProbeMs(): number | undefined {
    return this.#isPaused ? limits.PAUSED_PROBE_MS : undefined;
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
    this.#state = 'closed';
    this.#actions.push({ kind: 'failed', error });
  }
}
