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
import { LOSS_DELAY_FACTOR, PRESUMED_RECEIVED_RESENDS, REORDER_THRESHOLD } from './limits.ts';
import { RoundTrip } from './rtt.ts';

interface Entry {
  readonly sequenceNumber: number;
  readonly encoded: Buffer;
  /** Stream bytes, for the window; 0 for handshake messages and flags. */
  readonly streamBytes: number;
  readonly isStreamData: boolean;
  lastSentMs: number;
  /** Position of the last transmission among all transmissions. */
  transmission: number;
  resends: number;
}

export class Outbox {
  readonly roundTrip = new RoundTrip();
  /** Agents before 3.2.1041.0 never acknowledge a duplicate: see PRESUMED_RECEIVED_RESENDS. */
  peerReacksDuplicates = true;

  /** In order of sequence numbers. */
  readonly #bySequence = new Map<number, Entry>();
  /** In order of last transmission. */
  readonly #byTransmission = new Map<number, Entry>();
  #nextSequenceNumber = 0;
  #nextTransmission = 0;
  #newestAcked = -1;
  #unackedStreamBytes = 0;
  #lastProgressMs = 0;
  #resends = 0;
  #isStreamDataAcked = false;

  get nextSequenceNumber(): number {
    return this.#nextSequenceNumber;
  }

  get unackedMessages(): number {
    return this.#bySequence.size;
  }

  get unackedStreamBytes(): number {
    return this.#unackedStreamBytes;
  }

  get resends(): number {
    return this.#resends;
  }

  /** True once the peer has acknowledged any stream data: its server accepted bytes. */
  get isStreamDataAcked(): boolean {
    return this.#isStreamDataAcked;
  }

  /** Records a new message, encoded with `nextSequenceNumber`. It counts as sent at `now`. */
  add(encoded: Buffer, streamBytes: number, now: number): void {
    const entry: Entry = {
      sequenceNumber: this.#nextSequenceNumber,
      encoded,
      streamBytes,
      isStreamData: streamBytes > 0,
      lastSentMs: now,
      transmission: this.#nextTransmission,
      resends: 0,
    };
    if (this.#bySequence.size === 0) this.#lastProgressMs = now;
    this.#nextSequenceNumber += 1;
    this.#nextTransmission += 1;
    this.#unackedStreamBytes += streamBytes;
    this.#bySequence.set(entry.sequenceNumber, entry);
    this.#byTransmission.set(entry.sequenceNumber, entry);
  }

  /** An acknowledgement arrived. Returns false when nothing waits for it (a repeated or a foreign one). */
  acknowledge(sequenceNumber: number, now: number): boolean {
    const entry = this.#bySequence.get(sequenceNumber);
    if (entry === undefined) return false;
    if (entry.resends === 0) this.roundTrip.sample(now - entry.lastSentMs);
    if (entry.isStreamData) this.#isStreamDataAcked = true;
    if (entry.transmission > this.#newestAcked) this.#newestAcked = entry.transmission;
    this.#lastProgressMs = now;
    this.#remove(entry);
    return true;
  }

  /**
   * Messages to send again now, those known to be lost before a probe; each counts as sent. `isPaused` allows probes only, at the given
   * interval.
   */
  takeDue(now: number, pausedProbeMs: number | undefined): Buffer[] {
    const due: Buffer[] = [];
    if (pausedProbeMs === undefined) this.#takeLost(now, due);
    const oldest = this.#oldest();
    // One that was just resent as lost is not due any more.
    if (oldest !== undefined && now >= this.#probeAt(oldest, pausedProbeMs)) {
      this.roundTrip.backOff();
      due.push(this.#resend(oldest, now));
    }
    return due;
  }

  /** When `takeDue` has something to do, in the same clock; undefined when nothing waits. */
  deadline(pausedProbeMs: number | undefined): number | undefined {
    const oldest = this.#oldest();
    if (oldest === undefined) return undefined;
    const probeAt = this.#probeAt(oldest, pausedProbeMs);
    if (pausedProbeMs !== undefined) return probeAt;
    const first = this.#firstTransmitted();
    if (first === undefined || first.transmission > this.#newestAcked) return probeAt;
    return Math.min(probeAt, this.#lostAt(first));
  }

  /** Everything unacknowledged, in order, to be sent at once over a new link. */
  takeAll(now: number): Buffer[] {
    this.roundTrip.resetBackoff();
    this.#newestAcked = -1;
    this.#lastProgressMs = now;
    return Array.from(this.#bySequence.values(), (entry) => this.#resend(entry, now));
  }

  #takeLost(now: number, due: Buffer[]): void {
    // Resent messages go to the end of the map; `last` keeps them out of this round.
    const last = this.#nextTransmission;
    for (const entry of this.#byTransmission.values()) {
      if (entry.transmission >= last || entry.transmission > this.#newestAcked) return;
      if (now < this.#lostAt(entry)) return;
      if (!this.peerReacksDuplicates && entry.resends >= PRESUMED_RECEIVED_RESENDS) this.#remove(entry);
      else due.push(this.#resend(entry, now));
    }
  }

  /** When a message with later ones acknowledged counts as lost. */
  #lostAt(entry: Entry): number {
    // Several later acknowledgements: at once, but never faster than one resend of it per half round trip.
    const factor = entry.transmission + REORDER_THRESHOLD <= this.#newestAcked ? 0 : LOSS_DELAY_FACTOR;
    return (
      entry.lastSentMs +
      Math.max(factor, entry.resends > 0 ? LOSS_DELAY_FACTOR : 0) * this.roundTrip.smoothedMs
    );
  }

  #probeAt(oldest: Entry, pausedProbeMs: number | undefined): number {
    const interval = pausedProbeMs ?? this.roundTrip.probeMs;
    return Math.max(oldest.lastSentMs, this.#lastProgressMs) + interval;
  }

  #resend(entry: Entry, now: number): Buffer {
    entry.lastSentMs = now;
    entry.transmission = this.#nextTransmission;
    entry.resends += 1;
    this.#nextTransmission += 1;
    this.#resends += 1;
    this.#byTransmission.delete(entry.sequenceNumber);
    this.#byTransmission.set(entry.sequenceNumber, entry);
    return entry.encoded;
  }

  #remove(entry: Entry): void {
    this.#unackedStreamBytes -= entry.streamBytes;
    this.#bySequence.delete(entry.sequenceNumber);
    this.#byTransmission.delete(entry.sequenceNumber);
  }

  #oldest(): Entry | undefined {
    for (const entry of this.#bySequence.values()) return entry;
    return undefined;
  }

  #firstTransmitted(): Entry | undefined {
    for (const entry of this.#byTransmission.values()) return entry;
    return undefined;
  }
}
