/**
 * The emulated agent's data channel: the real agent's reader, sender and retransmission scan (protocol.md 4).
 *
 * The reader is one: it takes a message only when the one before is handled completely, the write to TCP or pty
 * included (4.8). While it is blocked nothing else is seen, acknowledgements too; only `channel_closed` gets
 * through, because the service also sends it over the control channel, which does not exist here.
 *
 * Not here: what the messages mean (agent-handshake.ts, the plugins) and when the session ends (agent.ts).
 */
import type { Clock, TimerHandle } from '../clock.ts';
import type { Message } from '../protocol/message.ts';
import { decodeMessage, MESSAGE_TYPE, PAYLOAD_TYPE } from '../protocol/message.ts';
import { parseAcknowledge } from '../protocol/payloads.ts';
import { compareVersions, REACK_DUPLICATES_FROM } from '../protocol/versions.ts';
import type { AgentCipher } from './agent-cipher.ts';
import type { StreamPayload } from './agent-inbox.ts';
import { AgentInbox } from './agent-inbox.ts';
import type { AgentEnvironment, AgentStats, AgentUplink } from './agent-link.ts';
import { AgentOutbox, RESEND_SCAN_MS } from './agent-outbox.ts';
import { AgentWriter } from './agent-writer.ts';

/** `handled` is acknowledged, `refused` is not: the client sends it again. A promise blocks the reader until then. */
export type Verdict = 'handled' | 'refused';
export type PendingVerdict = Verdict | Promise<Verdict>;

/** Bytes that wait behind a blocked reader, as in socket buffers; what comes on top is lost and sent again. */
const BLOCKED_READER_BYTES = 64 * 1024 * 1024;
export interface AgentChannelEvents {
  /** A stream message in its turn, decrypted. The payload may alias a receive buffer: use it now or copy it. */
  onStreamMessage(payloadType: number | undefined, payload: Buffer): PendingVerdict;
  /** The service closed the session. */
  onClosedByService(): void;
  /** Publication goes on after a pause: pumps may read again. */
  onActive(): void;
  /** An acknowledgement came: the outbox may have become empty or smaller. */
  onAcknowledged(): void;
}

export interface AgentChannelOptions {
  readonly agentVersion: string;
  readonly environment: AgentEnvironment;
  readonly uplink: AgentUplink;
  readonly clock: Clock;
  readonly events: AgentChannelEvents;
}

export class AgentChannel {
  readonly #uplink: AgentUplink;
  readonly #environment: AgentEnvironment;
  readonly #clock: Clock;
  readonly #events: AgentChannelEvents;
  readonly #reacksByVersion: boolean;
  readonly #outbox = new AgentOutbox();
  readonly #inbox = new AgentInbox();
  readonly #writer: AgentWriter;
  #scanTimer: TimerHandle;
  #isClosed = false;
  #isUp = true;
  #isPaused = false;
  #isReaderBusy = false;
  /** Messages behind a blocked reader; taken from `#waitingAt` on, cleared when all are taken. */
  #waiting: Buffer[] = [];
  #waitingAt = 0;
  #waitingBytes = 0;
  /** Set when payloads have to be encrypted; without a key nothing can be read then. */
  #isEncrypted = false;
  #cipher: AgentCipher | undefined;
  #sentBytes = 0;
  #receivedBytes = 0;

  constructor(options: AgentChannelOptions) {
    this.#uplink = options.uplink;
    this.#environment = options.environment;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#writer = new AgentWriter(() => options.clock.wallNow());
    this.#reacksByVersion = compareVersions(options.agentVersion, REACK_DUPLICATES_FROM) >= 0;
    this.#scanTimer = this.#clock.setTimer(RESEND_SCAN_MS, () => this.#scan());
  }

  /** False while publication is paused: pumps stop reading their source. */
  get isActive(): boolean {
    return !this.#isPaused;
  }

  get unackedMessages(): number {
    return this.#outbox.unackedMessages;
  }

  get unackedBytes(): number {
    return this.#outbox.unackedBytes;
  }

  stats(): AgentStats {
    return {
      unackedMessages: this.#outbox.unackedMessages,
      retransmissions: this.#outbox.retransmissions,
      receivedBytes: this.#receivedBytes,
      sentBytes: this.#sentBytes,
      duplicatesReceived: this.#inbox.duplicates,
      isPaused: this.#isPaused,
    };
  }

  /** From now on Output, StdErr and ExitCode are sealed; the key comes later, during the handshake. */
  requireEncryption(): void {
    this.#isEncrypted = true;
  }

  setCipher(cipher: AgentCipher): void {
    this.#cipher = cipher;
  }

  /** Sends one stream message; empty payloads are ignored. While paused or down it is only remembered. */
  send(payloadType: number, payload: Buffer): void {
    if (this.#isClosed || payload.length === 0) return;
    if (payloadType === PAYLOAD_TYPE.OUTPUT) this.#sentBytes += payload.length;
    const sequenceNumber = this.#outbox.nextSequenceNumber;
    const data = this.#writer.streamData(sequenceNumber, payloadType, this.#seal(payloadType, payload));
    this.#outbox.record(data, this.#clock.now());
    if (!this.#isPaused) this.#transmit(data);
  }

  /** One message from the service. */
  receive(data: Buffer): void {
    const message = this.#decode(data);
    if (message === undefined) return;
    if (message.messageType === MESSAGE_TYPE.CHANNEL_CLOSED) {
      this.#uplink.trace('channel-closed');
      this.#events.onClosedByService();
      return;
    }
    if (this.#isClosed) return;
    if (this.#isReaderBusy) this.#keepWaiting(data);
    else this.#read(message);
  }

  linkDown(): void {
    this.#isUp = false;
  }

  /** The agent opened its channel again: a pause is forgotten, nothing else changes. */
  linkUp(): void {
    this.#isUp = true;
    this.#clearPause();
  }

  /** Nothing is sent, read or repeated any more; only channel_closed is still reported. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#scanTimer.cancel();
    this.#waiting = [];
    this.#waitingAt = 0;
    this.#waitingBytes = 0;
  }

  #decode(data: Buffer): Message | undefined {
    try {
      const message = decodeMessage(data);
      // The agent validates this field of every message, start and pause included (protocol.md 3).
      if (message.createdDate !== 0) return message;
      this.#uplink.trace('message-without-date', { type: message.messageType });
    } catch {
      this.#uplink.trace('malformed-message', { bytes: data.length });
    }
    return undefined;
  }

  /** Reads this message and those that waited, until one blocks. Also guards against being called from a send. */
  #read(first: Message): void {
    this.#isReaderBusy = true;
    for (let message: Message | undefined = first; message !== undefined; message = this.#takeWaiting()) {
      const work = this.#dispatch(message);
      if (work === undefined) continue;
      work.then(
        () => this.#readOn(),
        (error: unknown) => {
          // Handlers turn their failures into verdicts; what ends here is a bug of the emulator.
          this.#uplink.trace('reader-failed', { reason: String(error) });
          this.#readOn();
        },
      );
      return;
    }
    this.#isReaderBusy = false;
  }

  #readOn(): void {
    this.#isReaderBusy = false;
    const next = this.#takeWaiting();
    if (next !== undefined) this.#read(next);
  }

  #keepWaiting(data: Buffer): void {
    if (this.#waitingBytes + data.length > BLOCKED_READER_BYTES) return;
    this.#waiting.push(Buffer.from(data));
    this.#waitingBytes += data.length;
  }

  #takeWaiting(): Message | undefined {
    const data = this.#waiting[this.#waitingAt];
    if (data === undefined) {
      this.#waiting = [];
      this.#waitingAt = 0;
      return undefined;
    }
    this.#waitingAt += 1;
    this.#waitingBytes -= data.length;
    return this.#decode(data);
  }

  #dispatch(message: Message): Promise<void> | undefined {
    switch (message.messageType) {
      case MESSAGE_TYPE.INPUT_STREAM_DATA:
        return this.#handleStreamData(message);
      case MESSAGE_TYPE.ACKNOWLEDGE:
        this.#handleAcknowledge(message);
        return undefined;
      case MESSAGE_TYPE.PAUSE_PUBLICATION:
        if (!this.#isPaused) this.#uplink.trace('paused');
        this.#isPaused = true;
        return undefined;
      case MESSAGE_TYPE.START_PUBLICATION:
        this.#clearPause();
        return undefined;
      default:
        this.#uplink.trace('unknown-message-type', { type: message.messageType });
        return undefined;
    }
  }

  #handleAcknowledge(message: Message): void {
    this.#clearPause();
    let sequenceNumber: number;
    try {
      sequenceNumber = parseAcknowledge(message.payload);
    } catch {
      this.#uplink.trace('malformed-acknowledge');
      return;
    }
    this.#outbox.acknowledge(sequenceNumber, this.#clock.now());
    this.#events.onAcknowledged();
  }

  #handleStreamData(message: Message): Promise<void> | undefined {
    this.#clearPause();
    const reacks = this.#environment.behaviour.reackDuplicates ?? this.#reacksByVersion;
    const arrival = this.#inbox.arrive(message, reacks);
    if (arrival === 'drop') return undefined;
    if (arrival === 'acknowledge') {
      this.#acknowledge(message);
      return undefined;
    }
    const verdict = this.#deliver(message);
    if (verdict instanceof Promise) return verdict.then((settled) => this.#settle(message, settled));
    return this.#settle(message, verdict);
  }

  /** The message in turn has its verdict: acknowledge it and hand on those that wait behind it. */
  #settle(message: Message, verdict: Verdict): Promise<void> | undefined {
    if (verdict === 'refused') return undefined;
    this.#acknowledge(message);
    this.#inbox.advance();
    return this.#drain();
  }

  #drain(): Promise<void> | undefined {
    for (let next = this.#inbox.peek(); next !== undefined; next = this.#inbox.peek()) {
      const verdict = this.#deliver(next);
      if (verdict instanceof Promise) {
        return verdict.then((settled) => {
          if (settled === 'refused') return undefined;
          this.#inbox.advance();
          return this.#drain();
        });
      }
      if (verdict === 'refused') return undefined;
      this.#inbox.advance();
    }
    return undefined;
  }

  #deliver(stream: StreamPayload): PendingVerdict {
    if (this.#isClosed) return 'refused';
    let { payload } = stream;
    if (stream.payloadType === PAYLOAD_TYPE.OUTPUT) {
      const plain = this.#open(payload);
      if (plain === undefined) {
        this.#uplink.trace('undecipherable');
        return 'refused';
      }
      payload = plain;
    }
    const verdict = this.#events.onStreamMessage(stream.payloadType, payload);
    if (stream.payloadType !== PAYLOAD_TYPE.OUTPUT) return verdict;
    if (verdict instanceof Promise) {
      return verdict.then((settled) => {
        if (settled === 'handled') this.#receivedBytes += payload.length;
        return settled;
      });
    }
    if (verdict === 'handled') this.#receivedBytes += payload.length;
    return verdict;
  }

  #acknowledge(message: Message): void {
    const { behaviour } = this.#environment;
    if (this.#isClosed || behaviour.stopAcks) return;
    if (behaviour.dropAcks > 0) {
      behaviour.dropAcks -= 1;
      this.#uplink.trace('ack-dropped', { seq: message.sequenceNumber });
      return;
    }
    this.#transmit(this.#writer.acknowledge(message));
  }

  #scan(): void {
    this.#scanTimer = this.#clock.setTimer(RESEND_SCAN_MS, () => this.#scan());
    if (this.#isPaused) return;
    const due = this.#outbox.takeDue(this.#clock.now());
    if (due === undefined) return;
    this.#transmit(due);
  }

  #clearPause(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#uplink.trace('active');
    this.#events.onActive();
  }

  /** A write while the agent's own channel is down fails; the real agent logs that and goes on. */
  #transmit(data: Buffer): void {
    if (this.#isUp && !this.#isClosed) this.#uplink.send(data);
  }

  #seal(payloadType: number, payload: Buffer): Buffer {
    const isSealed =
      payloadType === PAYLOAD_TYPE.OUTPUT ||
      payloadType === PAYLOAD_TYPE.STD_ERR ||
      payloadType === PAYLOAD_TYPE.EXIT_CODE;
    if (!this.#isEncrypted || !isSealed || this.#cipher === undefined) return payload;
    return this.#cipher.encrypt(payload);
  }

  #open(payload: Buffer): Buffer | undefined {
    return this.#isEncrypted ? this.#cipher?.decrypt(payload) : payload;
  }
}
