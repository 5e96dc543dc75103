/**
 * Messages sent and not yet acknowledged: what to send again, and when.
 *
 * Acknowledgements are selective and the path is a FIFO, so an acknowledgement of a message sent later proves that an
 * earlier one (or its acknowledgement) was lost: that one is resent at once. When nothing comes back at all, only the
 * oldest message is probed, with exponential back-off: a silent peer may be one whose server stopped reading
 * (the agent then stops acknowledging everything), and sending it the whole window again would help nobody.
 *
 * A message's bytes are kept until it is acknowledged, across any number of links. Nothing is ever evicted.
 */
import {
  CLOCK_GRANULARITY_MS,
  LOSS_DELAY_FACTOR,
  PRESUMED_RECEIVED_RESENDS,
  REORDER_THRESHOLD,
  UNPACED_WINDOW_BYTES,
} from './limits.ts';
import { RoundTrip } from './rtt.ts';
import { SendWindow } from './window.ts';

interface Entry {
  readonly sequenceNumber: number;
  encoded: Buffer;
  /** What goes instead of it when it has to be sent again. */
  readonly resendAs: Buffer | undefined;
  /** Stream bytes, for the window; 0 for handshake messages and flags. */
  readonly streamBytes: number;
  readonly isStreamData: boolean;
  lastSentMs: number;
  /** Position of the last transmission among all transmissions. */
  transmission: number;
  resends: number;
  /** Its last transmission was a probe. */
  isProbe: boolean;
  /** Neighbours in the order of last transmissions. */
  earlier: Entry | undefined;
  later: Entry | undefined;
}

/** Places of acknowledged messages at the head that are let go at once, instead of moving the rest for each. */
const COMPACT_SLOTS = 1024;

const NOTHING: readonly Buffer[] = [];

export class Outbox {
  readonly roundTrip = new RoundTrip();
  /** Agents before 3.2.1041.0 never acknowledge a duplicate: see PRESUMED_RECEIVED_RESENDS. */
  peerReacksDuplicates = true;

  readonly window: SendWindow;
  readonly #maxWindowBytes: number;
  /** By sequence number, from `#firstSlot` on; empty where acknowledged. Unlike a Map it has no holes to step over. */
  #slots: (Entry | undefined)[] = [];
  #firstSlot = 0;
  /** Place of the oldest message, or the end. */
  #head = 0;
  #unackedMessages = 0;
  /** Ends of the list in order of last transmission. */
  #earliest: Entry | undefined;
  #latest: Entry | undefined;
  #nextSequenceNumber = 0;
  #nextTransmission = 0;
  #newestAcked = -1;
  /** The same of probes, whose acknowledgement may as well be a late one of the message's first transmission. */
  #newestProbed = -1;
  #unackedStreamBytes = 0;
  #resentStreamBytes = 0;
  #lastProgressMs = 0;
  #resends = 0;
  #isStreamDataAcked = false;

  /** `maxWindowBytes`: the window never gets larger. */
  constructor(maxWindowBytes: number = UNPACED_WINDOW_BYTES) {
    this.#maxWindowBytes = maxWindowBytes;
    this.window = new SendWindow(maxWindowBytes);
  }

  get nextSequenceNumber(): number {
    return this.#nextSequenceNumber;
  }

  get unackedMessages(): number {
    return this.#unackedMessages;
  }

  get unackedStreamBytes(): number {
    return this.#unackedStreamBytes;
  }

  /**
   * Stream bytes that count toward the window. What was sent again to a peer that does not acknowledge duplicates may
   * never be acknowledged; it goes when later messages are, and these need room. Up to a second window of it is left out:
   * a peer that acknowledges nothing at all must not grow our memory.
   */
  get inFlightBytes(): number {
    if (this.peerReacksDuplicates) return this.#unackedStreamBytes;
    return this.#unackedStreamBytes - Math.min(this.#resentStreamBytes, this.#maxWindowBytes);
  }

  get resends(): number {
    return this.#resends;
  }

  /** True once the peer has acknowledged any stream data: its server accepted bytes. */
  get isStreamDataAcked(): boolean {
    return this.#isStreamDataAcked;
  }

  /**
   * Records a new message, encoded with `nextSequenceNumber`. It counts as sent at `now`. `resendAs`: another form of
   * it, of which the far end makes the same, for the case that this one does not pass.
   */
  add(encoded: Buffer, streamBytes: number, now: number, resendAs?: Buffer): void {
    const entry: Entry = {
      sequenceNumber: this.#nextSequenceNumber,
      encoded,
      resendAs,
      streamBytes,
      isStreamData: streamBytes > 0,
      lastSentMs: now,
      transmission: this.#nextTransmission,
      resends: 0,
      isProbe: false,
      earlier: undefined,
      later: undefined,
    };
    if (this.#unackedMessages === 0) {
      this.#lastProgressMs = now;
      this.window.startsFromIdle(now);
    }
    this.#nextSequenceNumber += 1;
    this.#nextTransmission += 1;
    this.#unackedMessages += 1;
    this.#unackedStreamBytes += streamBytes;
    this.#slots.push(entry);
    this.#append(entry);
  }

  /** True when this message waits for its acknowledgement and was sent more than once. */
  isResent(sequenceNumber: number): boolean {
    return (this.#slots[sequenceNumber - this.#firstSlot]?.resends ?? 0) > 0;
  }

  /** An acknowledgement arrived. Returns false when nothing waits for it (a repeated or a foreign one). */
  acknowledge(sequenceNumber: number, now: number): boolean {
    const entry = this.#slots[sequenceNumber - this.#firstSlot];
    if (entry === undefined) return false;
    if (entry.resends === 0) {
      const elapsedMs = now - entry.lastSentMs;
      this.roundTrip.sample(elapsedMs);
      this.window.acknowledged(elapsedMs, entry.transmission, this.#nextTransmission, now);
    }
    if (entry.isStreamData) this.#isStreamDataAcked = true;
    if (entry.isProbe) this.#newestProbed = Math.max(this.#newestProbed, entry.transmission);
    else if (entry.transmission > this.#newestAcked) this.#newestAcked = entry.transmission;
    this.#lastProgressMs = now;
    this.#remove(entry);
    return true;
  }

  /**
   * Messages to send again now, those known to be lost before a probe; each counts as sent. `pausedProbeMs`: probes only,
   * at that interval.
   */
  takeDue(now: number, pausedProbeMs: number | undefined): readonly Buffer[] {
    const dueAt = this.deadline(pausedProbeMs);
    if (dueAt === undefined || now < dueAt) return NOTHING;
    const due: Buffer[] = [];
    if (pausedProbeMs === undefined) this.#takeLost(now, due);
    const oldest = this.#oldest();
    // One that was just resent as lost is not due any more.
    if (oldest !== undefined && now >= this.#probeAt(oldest, pausedProbeMs)) {
      this.roundTrip.backOff();
      due.push(this.#resend(oldest, now, true));
    }
    return due;
  }

  /** When `takeDue` has something to do, in the same clock; undefined when nothing waits. */
  deadline(pausedProbeMs: number | undefined): number | undefined {
    const oldest = this.#oldest();
    if (oldest === undefined) return undefined;
    const probeAt = this.#probeAt(oldest, pausedProbeMs);
    if (pausedProbeMs !== undefined) return probeAt;
    const first = this.#earliest;
    if (first === undefined || first.transmission > this.#newestKnown) return probeAt;
    return Math.min(probeAt, this.#lostAt(first));
  }

  /** Everything unacknowledged, in order, to be sent at once over a new link. */
  takeAll(now: number): Buffer[] {
    this.roundTrip.resetBackoff();
    this.#newestAcked = -1;
    this.#newestProbed = -1;
    this.#lastProgressMs = now;
    this.window.reset(this.#nextTransmission, now);
    const all: Buffer[] = [];
    for (const entry of this.#slots) if (entry !== undefined) all.push(this.#resend(entry, now, false));
    return all;
  }

  #takeLost(now: number, due: Buffer[]): void {
    // Resent messages go to the end of the list; `last` keeps them out of this round.
    const last = this.#nextTransmission;
    let entry = this.#earliest;
    while (entry !== undefined && entry.transmission < last && entry.transmission <= this.#newestKnown) {
      if (now < this.#lostAt(entry)) return;
      const next = entry.later;
      if (!this.peerReacksDuplicates && entry.resends >= PRESUMED_RECEIVED_RESENDS) this.#remove(entry);
      else {
        this.window.lost();
        due.push(this.#resend(entry, now, false));
      }
      entry = next;
    }
  }

  get #newestKnown(): number {
    return Math.max(this.#newestAcked, this.#newestProbed);
  }

  /** When a message with later ones acknowledged counts as lost. */
  #lostAt(entry: Entry): number {
    const { smoothedMs } = this.roundTrip;
    if (entry.transmission > this.#newestAcked) {
      // Only a probe says so. If that was a late acknowledgement, the others follow: lost is what then stays silent.
      return this.#lastProgressMs + Math.max(CLOCK_GRANULARITY_MS, LOSS_DELAY_FACTOR * smoothedMs);
    }
    // Several later acknowledgements: at once, but never faster than one resend of it per half round trip.
    const factor = entry.transmission + REORDER_THRESHOLD <= this.#newestAcked ? 0 : LOSS_DELAY_FACTOR;
    return entry.lastSentMs + Math.max(factor, entry.resends > 0 ? LOSS_DELAY_FACTOR : 0) * smoothedMs;
  }

  #probeAt(oldest: Entry, pausedProbeMs: number | undefined): number {
    const interval = pausedProbeMs ?? this.roundTrip.probeMs;
    return Math.max(oldest.lastSentMs, this.#lastProgressMs) + interval;
  }

  #resend(entry: Entry, now: number, isProbe: boolean): Buffer {
    entry.isProbe = isProbe;
    entry.lastSentMs = now;
    entry.transmission = this.#nextTransmission;
    if (entry.resends === 0) this.#resentStreamBytes += entry.streamBytes;
    if (entry.resendAs !== undefined) entry.encoded = entry.resendAs;
    entry.resends += 1;
    this.#nextTransmission += 1;
    this.#resends += 1;
    this.#unlink(entry);
    this.#append(entry);
    return entry.encoded;
  }

  #remove(entry: Entry): void {
    this.#unackedStreamBytes -= entry.streamBytes;
    if (entry.resends > 0) this.#resentStreamBytes -= entry.streamBytes;
    this.#unackedMessages -= 1;
    this.#unlink(entry);
    this.#slots[entry.sequenceNumber - this.#firstSlot] = undefined;
    while (this.#head < this.#slots.length && this.#slots[this.#head] === undefined) this.#head += 1;
    if (this.#head < COMPACT_SLOTS && this.#head < this.#slots.length) return;
    this.#slots.splice(0, this.#head);
    this.#firstSlot += this.#head;
    this.#head = 0;
  }

  #append(entry: Entry): void {
    entry.earlier = this.#latest;
    entry.later = undefined;
    if (this.#latest === undefined) this.#earliest = entry;
    else this.#latest.later = entry;
    this.#latest = entry;
  }

  #unlink(entry: Entry): void {
    const { earlier, later } = entry;
    if (earlier === undefined) this.#earliest = later;
    else earlier.later = later;
    if (later === undefined) this.#latest = earlier;
    else later.earlier = earlier;
  }

  #oldest(): Entry | undefined {
    return this.#slots[this.#head];
  }
}
