/**
 * How many stream bytes may be in flight: a window that follows acknowledgements and round-trip time.
 *
 * The path below is TCP, so what is too much for it does not get lost but waits: in socket buffers, at the service, at
 * the agent. A wait is what keystrokes behind it feel and what a cut has to send again. So the window aims at a fixed
 * time of waiting (WINDOW_QUEUE_MS) on top of the shortest round trip seen, as TCP Vegas and FAST do. It is changed
 * once per round of acknowledgements, by the mean round trip in it:
 *
 *   nothing waits yet   doubled, until something has waited for the first time; later a quarter more
 *   something waits     half way toward window x (shortest + aim) / measured
 *
 * and it grows only while it is what holds the sender back. A wait of twice the aim does not let the round end first.
 *
 * The shortest round trip grows old: routes change. When it has not been seen again for BASE_LIFE_MS, which means that
 * something always waits, the window closes to its least for one round, and that round is the new measure.
 */
import * as limits from './limits.ts';

export class SendWindow {
  readonly #maxBytes: number;
  #bytes: number;
  #baseMs = Infinity;
  #baseSeenAt = 0;
  /** The first transmission of the round: its acknowledgement, or that of a later one, ends the round. */
  #roundStart = 0;
  #roundSamples = 0;
  #roundSumMs = 0;
  #roundShortestMs = Infinity;
  /** Nothing has waited since the beginning. */
  #isBeginning = true;
  #wasLimiting = false;
  #hasLost = false;
  /** Of the window to come back to, while it is closed to measure. */
  #drainedFrom: number | undefined;
  #usedAt = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#bytes = Math.min(limits.WINDOW_INITIAL_BYTES, maxBytes);
  }

  /** Stream bytes that may be unacknowledged. */
  get bytes(): number {
    return this.#drainedFrom === undefined ? this.#bytes : this.#leastBytes;
  }

  /** Shortest round trip known, in ms; Infinity before the first one. */
  get baseMs(): number {
    return this.#baseMs;
  }

  /** The sender had more to send than the window lets out. */
  limited(): void {
    this.#wasLimiting = true;
  }

  /** A message leaves while nothing is in flight: after a pause the path may have become another one. */
  startsFromIdle(now: number): void {
    if (now - this.#usedAt < limits.WINDOW_IDLE_MS) return;
    this.#beginAnew();
    this.#usedAt = now;
  }

  /** A message sent once was acknowledged. Positions count transmissions; `nextTransmission` is the coming one. */
  acknowledged(elapsedMs: number, transmission: number, nextTransmission: number, now: number): void {
    this.#usedAt = now;
    this.#roundSamples += 1;
    this.#roundSumMs += elapsedMs;
    if (elapsedMs < this.#roundShortestMs) this.#roundShortestMs = elapsedMs;
    if (elapsedMs <= this.#baseMs * limits.WINDOW_BASE_FACTOR + limits.WINDOW_BASE_SLACK_MS) {
      this.#baseSeenAt = now;
      if (elapsedMs < this.#baseMs) this.#baseMs = elapsedMs;
    }
    if (transmission < this.#roundStart && !this.#isJammed()) return;
    this.#endRound(now);
    this.#roundStart = nextTransmission;
  }

  /** A message counts as lost: half the window, once per round. */
  lost(): void {
    if (this.#hasLost) return;
    this.#hasLost = true;
    this.#isBeginning = false;
    this.#bytes = Math.max(this.#leastBytes, this.#bytes / 2);
  }

  /** A new link: another path, of which nothing is known. */
  reset(nextTransmission: number, now: number): void {
    this.#beginAnew();
    this.#baseMs = Infinity;
    this.#baseSeenAt = now;
    this.#roundStart = nextTransmission;
    this.#drainedFrom = undefined;
    this.#clearRound();
  }

  #beginAnew(): void {
    this.#bytes = Math.min(this.#bytes, limits.WINDOW_INITIAL_BYTES);
    this.#isBeginning = true;
  }

  get #leastBytes(): number {
    return Math.min(limits.WINDOW_LEAST_BYTES, this.#maxBytes);
  }

  #endRound(now: number): void {
    if (this.#drainedFrom !== undefined) this.#endMeasuring(this.#drainedFrom, now);
    else if (now - this.#baseSeenAt >= limits.BASE_LIFE_MS) this.#drainedFrom = this.#bytes;
    else this.#adapt();
    this.#clearRound();
  }

  #clearRound(): void {
    this.#roundSamples = 0;
    this.#roundSumMs = 0;
    this.#roundShortestMs = Infinity;
    this.#wasLimiting = false;
    this.#hasLost = false;
  }

  /** The path became so narrow that the round would take long to end. */
  #isJammed(): boolean {
    return (
      this.#drainedFrom === undefined &&
      this.#roundSamples >= limits.WINDOW_JAM_SAMPLES &&
      this.#roundSumMs / this.#roundSamples > this.#baseMs + 2 * limits.WINDOW_QUEUE_MS
    );
  }

  #adapt(): void {
    const meanMs = this.#roundSumMs / this.#roundSamples;
    let factor: number;
    if (meanMs > this.#baseMs + limits.WINDOW_QUEUE_MS / 4) {
      this.#isBeginning = false;
      const aim = (this.#baseMs + limits.WINDOW_QUEUE_MS) / meanMs;
      // Far from the aim it goes all the way: what is too much has been sent already.
      factor = aim < 0.5 ? Math.max(aim, 1 / 8) : Math.min(1.25, (1 + aim) / 2);
    } else factor = this.#isBeginning ? 2 : 1.25;
    if (factor >= 1 && (!this.#wasLimiting || this.#hasLost)) return;
    this.#bytes = Math.min(this.#maxBytes, Math.max(this.#leastBytes, this.#bytes * factor));
  }

  /** The round was sent with the window closed: its shortest sample is the new measure. */
  #endMeasuring(drainedFrom: number, now: number): void {
    this.#baseMs = this.#roundShortestMs;
    this.#baseSeenAt = now;
    this.#bytes = drainedFrom;
    this.#drainedFrom = undefined;
  }
}
