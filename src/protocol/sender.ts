/**
 * The sending half of a channel: bytes that wait, messages in flight, and when what may leave.
 *
 * Stream data leaves only while the gate is open (handshake over, link up, publication not paused) and as far as
 * window and pace allow. Handshake messages and flags leave at once. Resends are not held back by the pace, but count
 * toward it.
 */
import { ByteQueue } from './byte-queue.ts';
import * as limits from './limits.ts';
import { Outbox } from './outbox.ts';
import { Pacer } from './pacer.ts';

export interface SenderOptions {
  /** Undefined: no pace. */
  readonly messagesPerSecond: number | undefined;
  /** Stream bytes per message; default 1024. */
  readonly payloadBytes?: number | undefined;
  /** Most stream bytes in flight; default by pace. */
  readonly windowBytes?: number | undefined;
  /** Stream bytes that wait to be sent, above which the source is asked to wait; default 128 KiB. */
  readonly pendingLimitBytes?: number | undefined;
}

/** Encodes one stream message with the given sequence number. */
export type EncodeStream = (sequenceNumber: number, payloadType: number, payload: Buffer) => Buffer;

export class Sender {
  readonly outbox: Outbox;
  readonly #payloadBytes: number;
  readonly #pendingLimitBytes: number;
  readonly #pacer: Pacer | undefined;
  readonly #encode: EncodeStream;
  readonly #pending = new ByteQueue();
  #isWriterWaiting = false;
  #sentBytes = 0;

  constructor(options: SenderOptions, encode: EncodeStream) {
    const isPaced = options.messagesPerSecond !== undefined;
    this.#payloadBytes = options.payloadBytes ?? limits.PAYLOAD_BYTES;
    this.outbox = new Outbox(
      options.windowBytes ?? (isPaced ? limits.PACED_WINDOW_BYTES : limits.UNPACED_WINDOW_BYTES),
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
    while (this.#mayPump()) {
      if (this.#pacer !== undefined && !this.#pacer.tryTake(now)) break;
      const data = this.#pending.take(this.#payloadBytes);
      this.#sentBytes += data.length;
      outgoing.push(this.message(payloadType, data, data.length, now));
    }
    if (this.#pending.length > 0 && !this.#hasWindow()) this.outbox.window.limited();
    if (!this.#isWriterWaiting || this.#pending.length >= this.#pendingLimitBytes / 2) return false;
    this.#isWriterWaiting = false;
    return true;
  }

  /** Appends what has to be sent again. `pausedProbeMs`: publication is paused, probes only. */
  resendDue(now: number, pausedProbeMs: number | undefined, outgoing: Buffer[]): void {
    this.#chargeAndAppend(this.outbox.takeDue(now, pausedProbeMs), now, outgoing);
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
