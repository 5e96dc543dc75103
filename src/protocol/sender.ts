/**
 * The sending half of a channel: bytes that wait, messages in flight, and when what may leave.
 *
 * Stream data leaves only while the gate is open (handshake over, link up, publication not paused) and as far as
 * window and pace allow. Handshake messages and flags leave at once. Resends are not held back by the pace, but count
 * toward it.
 */
import { ByteQueue } from './byte-queue.ts';
import * as limits from './limits.ts';
import { PAYLOAD_TYPE } from './message.ts';
import { Outbox } from './outbox.ts';
import { PaceSearch } from './pace-search.ts';
import type { PaceLesson } from './pace-search.ts';
import { Pacer } from './pacer.ts';
import { formatSize } from './payloads.ts';

export interface SenderOptions {
  /** Undefined: no pace. */
  readonly messagesPerSecond: number | undefined;
  /** The pace is only where it begins; `searchPace` lets it go on from there. */
  readonly isPaceAuto?: boolean | undefined;
  /** Stream bytes per message; default 1024. */
  readonly payloadBytes?: number | undefined;
  /** Most stream bytes in flight; default by pace. */
  readonly windowBytes?: number | undefined;
  /** Stream bytes that wait to be sent, above which the source is asked to wait; default 128 KiB. */
  readonly pendingLimitBytes?: number | undefined;
}

/** Encodes one stream message with the given sequence number. */
export type EncodeStream = (sequenceNumber: number, payloadType: number, payload: Buffer) => Buffer;

/** What a trial message says: port sessions acknowledge it and drop it (protocol.md 6.4). */
const TRIAL_TEXT = formatSize({ cols: 80, rows: 24 });

export class Sender {
  readonly outbox: Outbox;
  readonly #payloadBytes: number;
  readonly #pendingLimitBytes: number;
  readonly #pacer: Pacer | undefined;
  readonly #encode: EncodeStream;
  readonly #pending = new ByteQueue();
  #search: PaceSearch | undefined;
  #trialSequenceNumber: number | undefined;
  #isWriterWaiting = false;
  #sentBytes = 0;

  constructor(options: SenderOptions, encode: EncodeStream) {
    const isPaced = options.messagesPerSecond !== undefined;
    const hasSmallWindow = isPaced && options.isPaceAuto !== true;
    this.#payloadBytes = options.payloadBytes ?? limits.PAYLOAD_BYTES;
    this.outbox = new Outbox(
      options.windowBytes ?? (hasSmallWindow ? limits.PACED_WINDOW_BYTES : limits.UNPACED_WINDOW_BYTES),
    );
    this.#pendingLimitBytes = options.pendingLimitBytes ?? limits.PENDING_HIGH_WATER_BYTES;
    this.#pacer = isPaced ? new Pacer(options.messagesPerSecond, limits.PACE_BURST_MESSAGES) : undefined;
    this.#encode = encode;
  }

  get pendingBytes(): number {
    return this.#pending.length;
  }

  /** Stream bytes sent at least once. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  get isDrained(): boolean {
    return this.#pending.length === 0 && this.outbox.unackedMessages === 0;
  }

  /** Queues stream bytes, which must not change afterwards. `pump` sends them. */
  write(data: Buffer): void {
    this.#pending.push(data);
  }

  /** Whether the source may go on; when not, `pump` says when. */
  hasRoom(): boolean {
    this.#isWriterWaiting = this.#pending.length >= this.#pendingLimitBytes;
    return !this.#isWriterWaiting;
  }

  /** Drops what has not been sent yet. */
  dropPending(): void {
    this.#pending.clear();
  }

  /** Number, record, return: one step, so that no other message can come in between. */
  message(payloadType: number, payload: Buffer, streamBytes: number, now: number): Buffer {
    const encoded = this.#encode(this.outbox.nextSequenceNumber, payloadType, payload);
    this.outbox.add(encoded, streamBytes, now);
    return encoded;
  }

  /** Appends stream messages that may leave now. True when a source that was told to wait may go on. */
  pump(payloadType: number, now: number, outgoing: Buffer[]): boolean {
    const payloadBytes = this.#payloadNow();
    while (this.#mayPump()) {
      if (this.#pacer !== undefined && !this.#pacer.tryTake(now)) {
        this.#paceLimits(now, outgoing);
        break;
      }
      const data = this.#pending.take(payloadBytes);
      this.#sentBytes += data.length;
      this.#search?.sent();
      outgoing.push(this.message(payloadType, data, data.length, now));
    }
    if (this.#pending.length > 0 && !this.#hasWindow()) this.outbox.window.limited();
    if (!this.#isWriterWaiting || this.#pending.length >= this.#pendingLimitBytes / 2) return false;
    this.#isWriterWaiting = false;
    return true;
  }

  /** An acknowledgement arrived. */
  acknowledge(sequenceNumber: number, now: number): void {
    const isTrial = sequenceNumber === this.#trialSequenceNumber;
    const isWhole = !this.outbox.isResent(sequenceNumber);
    if (!this.outbox.acknowledge(sequenceNumber, now) || !isTrial) return;
    this.#trialSequenceNumber = undefined;
    this.#search?.tried(isWhole, now);
    this.#followSearch();
  }

  // ---- the pace `auto` ---------------------------------------------------------------------------------------

  /** From now on the pace is looked for, beginning with what was learnt earlier. */
  searchPace(learnt: PaceLesson | undefined): void {
    this.#search = new PaceSearch(learnt);
  }

  /** What to keep for the next session, when that has changed. */
  takeLesson(): PaceLesson | undefined {
    return this.#search?.takeLesson();
  }

  /** pause_publication came. */
  paused(now: number): void {
    this.outbox.window.lost();
    this.#search?.paused(now);
    this.#followSearch();
  }

  /** The link has gone, or the session is over. With data on its way that may be our pace's fault. */
  cut(now: number): void {
    const isBusy = this.outbox.unackedStreamBytes > 0 || this.#trialSequenceNumber !== undefined;
    if (isBusy) this.#search?.cut(now);
    this.#followSearch();
  }

  /** The session is being ended in good order. */
  end(): void {
    this.#search?.end();
  }

  /** Appends what has to be sent again. `pausedProbeMs`: publication is paused, probes only. */
  resendDue(now: number, pausedProbeMs: number | undefined, outgoing: Buffer[]): void {
    const due = this.outbox.takeDue(now, pausedProbeMs);
    if (due.length === 0) return;
    this.#chargeAndAppend(due, now, outgoing);
    this.#search?.lost(due.length, now);
    this.#followSearch();
  }

  /** Appends everything unacknowledged, for a new link. */
  resendAll(now: number, outgoing: Buffer[]): void {
    this.#chargeAndAppend(this.outbox.takeAll(now), now, outgoing);
  }

  /** When `pump` or `resendDue` has something to do; undefined when only an input can change that. */
  deadline(now: number, isGateOpen: boolean, pausedProbeMs: number | undefined): number | undefined {
    const resendAt = this.outbox.deadline(pausedProbeMs);
    if (this.#pacer === undefined || !isGateOpen || !this.#mayPump()) return resendAt;
    return Math.min(resendAt ?? Infinity, this.#pacer.readyAt(now));
  }

  /** No payload takes more than an eighth of the window: where the path is slow, small ones keep keystrokes quick. */
  #payloadNow(): number {
    if (this.#search === undefined) return this.#payloadBytes;
    const most = Math.max(limits.PAYLOAD_BYTES, Math.floor(this.outbox.window.bytes / 8));
    if (most < this.#search.payloadBytes) this.outbox.window.limited();
    return Math.min(this.#search.payloadBytes, most);
  }

  #paceLimits(now: number, outgoing: Buffer[]): void {
    // Before the far end took any data its port may not be open yet, and trial messages are refused.
    if (this.#search === undefined || !this.outbox.isStreamDataAcked) return;
    const trialBytes = this.#search.limited(now);
    this.#followSearch();
    if (trialBytes === undefined) return;
    const sequenceNumber = this.outbox.nextSequenceNumber;
    const encode = (payload: Buffer): Buffer => this.#encode(sequenceNumber, PAYLOAD_TYPE.SIZE, payload);
    const large = encode(Buffer.concat([TRIAL_TEXT, Buffer.alloc(trialBytes - TRIAL_TEXT.length, ' ')]));
    this.outbox.add(large, 0, now, encode(TRIAL_TEXT));
    this.#trialSequenceNumber = sequenceNumber;
    this.#pacer?.charge(1, now);
    outgoing.push(large);
  }

  #followSearch(): void {
    if (this.#search !== undefined) this.#pacer?.setRate(this.#search.messagesPerSecond);
  }

  #mayPump(): boolean {
    return this.#pending.length > 0 && this.#hasWindow();
  }

  #hasWindow(): boolean {
    return this.outbox.inFlightBytes < this.outbox.window.bytes;
  }

  #chargeAndAppend(messages: readonly Buffer[], now: number, outgoing: Buffer[]): void {
    if (messages.length === 0) return;
    this.#pacer?.charge(messages.length, now);
    for (const message of messages) outgoing.push(message);
  }
}
