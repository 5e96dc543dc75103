/**
 * The pace `auto`: how large and how frequent data messages may be on this path. Pure: no clock, no bytes.
 *
 * It begins at the safe pace and, while a bulk transfer is held back by the pace, goes up one step at a time: first in
 * payload size, which no report ties to a rate limit, then, when no larger payload passes, in messages per second.
 *
 *   payload   a trial message of the new size goes first: one that means nothing to the far end, so that it may be lost,
 *             and is then repeated in a small form. Data gets the size only when the large form was acknowledged.
 *   both      a step counts as proven after a time of full use. A pause, a cut, the session's end in the middle of data,
 *             or losses before that time take it back, and nothing as large is tried again.
 *
 * What was learnt is a lesson: it can be kept for the next session, which tries the proven size at once. A step that is
 * under trial is part of it, so that a session that it kills still teaches the next one.
 */
import * as limits from './limits.ts';

export interface PaceLesson {
  /** Proven to work. */
  readonly payloadBytes: number;
  readonly messagesPerSecond: number;
  /** Smallest that did not work; Infinity when none is known. */
  readonly refusedPayloadBytes: number;
  readonly refusedMessagesPerSecond: number;
  /** Begun, and nothing known of its outcome. */
  readonly trial: PaceStep | undefined;
}

export interface PaceStep {
  readonly payloadBytes: number;
  readonly messagesPerSecond: number;
}

export const SAFE_LESSON: PaceLesson = {
  payloadBytes: limits.PAYLOAD_BYTES,
  messagesPerSecond: limits.SAFE_MESSAGES_PER_SECOND,
  refusedPayloadBytes: Infinity,
  refusedMessagesPerSecond: Infinity,
  trial: undefined,
};

export class PaceSearch {
  #lesson: PaceLesson;
  /** In use. */
  #payloadBytes = limits.PAYLOAD_BYTES;
  #messagesPerSecond = limits.SAFE_MESSAGES_PER_SECOND;
  /** Size of the trial message that is in flight. */
  #trialBytes: number | undefined;
  #stepAt = 0;
  #countedFrom = 0;
  #usedMessages = 0;
  #lostMessages = 0;
  #holdUntil = 0;
  #isLessonNew = false;

  /** `learnt` is what an earlier session left. */
  constructor(learnt: PaceLesson = SAFE_LESSON) {
    this.#lesson = learnt;
    if (learnt.trial !== undefined) this.#refuse(learnt.trial);
  }

  get payloadBytes(): number {
    return this.#payloadBytes;
  }

  get messagesPerSecond(): number {
    return this.#messagesPerSecond;
  }

  /** What to keep for the next session, when it has changed since the last call. */
  takeLesson(): PaceLesson | undefined {
    if (!this.#isLessonNew) return undefined;
    this.#isLessonNew = false;
    return this.#lesson;
  }

  /** A data message of the size in use was sent. */
  sent(): void {
    this.#usedMessages += 1;
  }

  /**
   * The pace, and nothing else, holds data back. Takes a step when it is time: returns the size of the trial message
   * that is to be sent now, if one is.
   */
  limited(now: number): number | undefined {
    if (this.#stepAt === 0) this.#begin(now);
    if (this.#trialBytes !== undefined || now < this.#holdUntil || !this.#isProven(now)) return undefined;
    if (this.#lesson.trial !== undefined) this.#learn({ ...this.#inUse, trial: undefined });
    const payloadBytes = this.#nextPayload();
    if (payloadBytes !== undefined) {
      this.#trialBytes = payloadBytes;
      this.#stepAt = now;
      this.#learn({ trial: { ...this.#inUse, payloadBytes } });
      return payloadBytes;
    }
    const messagesPerSecond = this.#nextRate();
    if (messagesPerSecond === undefined) return undefined;
    this.#learn({ trial: { ...this.#inUse, messagesPerSecond } });
    this.#messagesPerSecond = messagesPerSecond;
    this.#begin(now);
    return undefined;
  }

  /** The trial message was acknowledged. `isWhole`: in its large form. */
  tried(isWhole: boolean, now: number): void {
    const payloadBytes = this.#trialBytes;
    if (payloadBytes === undefined) return;
    this.#trialBytes = undefined;
    if (isWhole) {
      this.#payloadBytes = payloadBytes;
      this.#begin(now);
    } else this.#takeBack(now);
  }

  /** Messages count as lost and are sent again. */
  lost(messages: number, now: number): void {
    this.#lostMessages += messages;
    const isMuch = this.#lostMessages > limits.AUTO_LOSSES && this.#lostMessages > this.#usedMessages / 50;
    if (isMuch) this.#takeBack(now);
  }

  /** pause_publication. Without a step to blame the pace falls back all the same. */
  paused(now: number): void {
    if (this.#takeBack(now)) return;
    this.#messagesPerSecond = limits.SAFE_MESSAGES_PER_SECOND;
    this.#payloadBytes = Math.max(limits.PAYLOAD_BYTES, this.#payloadBytes / 2);
    this.#begin(now);
    this.#holdUntil = now + limits.AUTO_HOLD_MS;
  }

  /** The link was cut, or the session ended, with data on its way. */
  cut(now: number): void {
    if (!this.#takeBack(now)) this.#holdUntil = Math.max(this.#holdUntil, now + limits.AUTO_HOLD_MS / 3);
  }

  /** The session ends in good order: a step under trial is neither proven nor refused. */
  end(): void {
    if (this.#lesson.trial !== undefined) this.#learn({ trial: undefined });
  }

  get #inUse(): PaceStep {
    return { payloadBytes: this.#payloadBytes, messagesPerSecond: this.#messagesPerSecond };
  }

  #begin(now: number): void {
    this.#stepAt = now;
    this.#countFrom(now);
  }

  #countFrom(now: number): void {
    this.#countedFrom = now;
    this.#usedMessages = 0;
    this.#lostMessages = 0;
  }

  /** Used in full for long enough. The service is said to look at about two seconds. */
  #isProven(now: number): boolean {
    const isRate = this.#messagesPerSecond > limits.SAFE_MESSAGES_PER_SECOND;
    const ms = isRate ? limits.AUTO_RATE_STEP_MS : limits.AUTO_PAYLOAD_STEP_MS;
    const elapsedMs = now - this.#countedFrom;
    if (elapsedMs < ms) return false;
    if (this.#usedMessages >= (elapsedMs / 2000) * this.#messagesPerSecond) return true;
    this.#countFrom(now);
    return false;
  }

  /** The proven size first, where an earlier session left one; then the double. */
  #nextPayload(): number | undefined {
    const { payloadBytes: proven, refusedPayloadBytes } = this.#lesson;
    const wanted = proven > this.#payloadBytes ? proven : this.#payloadBytes * 2;
    const next = Math.min(limits.AUTO_PAYLOAD_MAX_BYTES, wanted);
    return next > this.#payloadBytes && next < refusedPayloadBytes ? next : undefined;
  }

  #nextRate(): number | undefined {
    if (this.#payloadBytes >= limits.AUTO_RATE_BELOW_BYTES) return undefined;
    const { messagesPerSecond: proven, refusedMessagesPerSecond } = this.#lesson;
    const wanted =
      proven > this.#messagesPerSecond
        ? proven
        : Math.round(this.#messagesPerSecond * limits.AUTO_RATE_FACTOR);
    const next = Math.min(limits.AUTO_RATE_MAX, wanted);
    return next > this.#messagesPerSecond && next < refusedMessagesPerSecond ? next : undefined;
  }

  /** False when no step is under trial, or it has been for too long to be blamed. */
  #takeBack(now: number): boolean {
    const { trial } = this.#lesson;
    if (trial === undefined || now - this.#stepAt > limits.AUTO_BLAME_MS) return false;
    const wasRate = trial.messagesPerSecond > this.#lesson.messagesPerSecond;
    this.#refuse(trial);
    this.#payloadBytes = Math.min(this.#payloadBytes, this.#lesson.payloadBytes);
    this.#messagesPerSecond = Math.min(
      wasRate ? limits.SAFE_MESSAGES_PER_SECOND : this.#messagesPerSecond,
      this.#lesson.messagesPerSecond,
    );
    this.#begin(now);
    this.#holdUntil = now + limits.AUTO_HOLD_MS / 3;
    return true;
  }

  /** What was proven once and is refused now was proven of another path. */
  #refuse(step: PaceStep): void {
    const { payloadBytes, messagesPerSecond } = this.#lesson;
    const isRate = step.messagesPerSecond > limits.SAFE_MESSAGES_PER_SECOND;
    if (isRate) {
      const safe = limits.SAFE_MESSAGES_PER_SECOND;
      this.#learn({
        trial: undefined,
        refusedMessagesPerSecond: step.messagesPerSecond,
        messagesPerSecond: messagesPerSecond < step.messagesPerSecond ? messagesPerSecond : safe,
      });
    } else {
      this.#learn({
        trial: undefined,
        refusedPayloadBytes: step.payloadBytes,
        payloadBytes: payloadBytes < step.payloadBytes ? payloadBytes : limits.PAYLOAD_BYTES,
      });
    }
  }

  #learn(change: Partial<PaceLesson>): void {
    this.#lesson = { ...this.#lesson, ...change };
    this.#isLessonNew = true;
  }
}
