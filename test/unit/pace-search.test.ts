/** The pace `auto`: its rules one by one, and over a path in virtual time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  AUTO_HOLD_MS,
  AUTO_PAYLOAD_MAX_BYTES,
  PAYLOAD_BYTES,
  SAFE_MESSAGES_PER_SECOND,
} from '../../src/protocol/limits.ts';
import type { PaceLesson } from '../../src/protocol/pace-search.ts';
import { PaceSearch, SAFE_LESSON } from '../../src/protocol/pace-search.ts';
import { Bottleneck } from '../support/bottleneck.ts';

/** A bulk transfer held back by nothing but the pace. `accepts`: whether a trial message arrives as it is. */
class Bulk {
  readonly search: PaceSearch;
  lesson: PaceLesson | undefined;
  now = 1;
  readonly trials: number[] = [];
  readonly #accepts: (bytes: number) => boolean;

  constructor(learnt?: PaceLesson, accepts: (bytes: number) => boolean = () => true) {
    this.search = new PaceSearch(learnt);
    this.#accepts = accepts;
    this.lesson = this.search.takeLesson() ?? learnt;
  }

  run(ms: number): void {
    for (const end = this.now + ms; this.now < end; this.now += 10) {
      for (let i = 0; i < this.search.messagesPerSecond / 100; i += 1) this.search.sent();
      const trial = this.search.limited(this.now);
      if (trial !== undefined) {
        this.trials.push(trial);
        this.search.tried(this.#accepts(trial), this.now);
      }
      this.lesson = this.search.takeLesson() ?? this.lesson;
    }
  }
}

describe('the search for a pace', () => {
  test('begins safe, doubles the payload step by step up to the largest, and leaves the rate alone then', () => {
    const bulk = new Bulk();
    assert.equal(bulk.search.payloadBytes, PAYLOAD_BYTES);
    assert.equal(bulk.search.messagesPerSecond, SAFE_MESSAGES_PER_SECOND);
    bulk.run(60_000);
    assert.deepEqual(bulk.trials, [2048, 4096, 8192, 16_384, 32_768, AUTO_PAYLOAD_MAX_BYTES]);
    assert.equal(bulk.search.payloadBytes, AUTO_PAYLOAD_MAX_BYTES);
    assert.equal(bulk.search.messagesPerSecond, SAFE_MESSAGES_PER_SECOND);
    assert.equal(bulk.lesson?.payloadBytes, AUTO_PAYLOAD_MAX_BYTES);
    assert.equal(bulk.lesson?.trial, undefined);
  });

  test('without a bulk transfer nothing is tried', () => {
    const search = new PaceSearch();
    for (let now = 1; now < 60_000; now += 100) {
      search.sent();
      assert.equal(search.limited(now), undefined);
    }
    assert.equal(search.payloadBytes, PAYLOAD_BYTES);
  });

  test('a size that does not pass is not used for data, not tried again, and kept for the next session', () => {
    const bulk = new Bulk(undefined, (bytes) => bytes <= 4096);
    bulk.run(60_000);
    assert.deepEqual(bulk.trials, [2048, 4096, 8192]);
    assert.equal(bulk.search.payloadBytes, 4096);
    const next = new Bulk(bulk.lesson);
    next.run(60_000);
    assert.deepEqual(next.trials, [4096]);
  });

  test('where payloads cannot grow the rate does, and a pause takes the step back for good', () => {
    const bulk = new Bulk(undefined, () => false);
    while (bulk.search.messagesPerSecond <= SAFE_MESSAGES_PER_SECOND) bulk.run(100);
    const tried = bulk.search.messagesPerSecond;
    assert.equal(tried, 1200);
    bulk.run(1000);
    bulk.search.paused(bulk.now);
    assert.equal(bulk.search.messagesPerSecond, SAFE_MESSAGES_PER_SECOND);
    bulk.run(10 * AUTO_HOLD_MS);
    assert.equal(bulk.search.messagesPerSecond, SAFE_MESSAGES_PER_SECOND);
    assert.equal(bulk.lesson?.refusedMessagesPerSecond, tried);
  });

  for (const [what, happen] of [
    ['a cut', (search: PaceSearch, now: number) => search.cut(now)],
    ['a pause', (search: PaceSearch, now: number) => search.paused(now)],
    ['many losses', (search: PaceSearch, now: number) => search.lost(100, now)],
  ] as const) {
    test(`${what} soon after a step takes it back`, () => {
      const bulk = new Bulk();
      while (bulk.search.payloadBytes < 8192) bulk.run(10);
      bulk.run(100);
      happen(bulk.search, bulk.now);
      assert.equal(bulk.search.payloadBytes, 4096);
      bulk.run(10 * AUTO_HOLD_MS);
      assert.equal(bulk.search.payloadBytes, 4096);
    });
  }

  test('a cut long after the last step says nothing about it', () => {
    const bulk = new Bulk();
    bulk.run(60_000);
    bulk.search.cut(bulk.now);
    assert.equal(bulk.search.payloadBytes, AUTO_PAYLOAD_MAX_BYTES);
    assert.equal(bulk.lesson?.payloadBytes, AUTO_PAYLOAD_MAX_BYTES);
  });

  test('a pause without a step to blame makes it slower, and it comes back after a time', () => {
    const bulk = new Bulk();
    bulk.run(60_000);
    bulk.search.paused(bulk.now);
    assert.equal(bulk.search.payloadBytes, AUTO_PAYLOAD_MAX_BYTES / 2);
    bulk.run(AUTO_HOLD_MS / 2);
    assert.equal(bulk.search.payloadBytes, AUTO_PAYLOAD_MAX_BYTES / 2);
    bulk.run(AUTO_HOLD_MS);
    assert.equal(bulk.search.payloadBytes, AUTO_PAYLOAD_MAX_BYTES);
  });

  test('a few losses are no reason', () => {
    const bulk = new Bulk();
    while (bulk.search.payloadBytes < 4096) bulk.run(10);
    bulk.search.lost(5, bulk.now);
    assert.equal(bulk.search.payloadBytes, 4096);
  });

  test('what an earlier session proved is tried at once, by a trial message first', () => {
    const bulk = new Bulk({ ...SAFE_LESSON, payloadBytes: 32_768 });
    assert.equal(bulk.search.payloadBytes, PAYLOAD_BYTES);
    bulk.run(700);
    assert.deepEqual(bulk.trials, [32_768]);
    assert.equal(bulk.search.payloadBytes, 32_768);
  });

  test('a session that died with a step under trial teaches the next one not to try it', () => {
    const killed = new Bulk();
    while (killed.search.payloadBytes < 8192) killed.run(10);
    assert.equal(killed.lesson?.trial?.payloadBytes, 8192);
    const next = new Bulk(killed.lesson);
    next.run(60_000);
    assert.equal(next.search.payloadBytes, 4096);
    assert.equal(next.lesson?.refusedPayloadBytes, 8192);
  });

  test('a session that ends in good order leaves no step under trial', () => {
    const bulk = new Bulk();
    while (bulk.search.payloadBytes < 8192) bulk.run(10);
    bulk.search.end();
    const lesson = bulk.search.takeLesson();
    assert.equal(lesson?.trial, undefined);
    assert.equal(lesson?.payloadBytes, 4096);
  });

  test('over a wide path the sender comes to more than 40 MB/s, at no more than the safe number of messages', () => {
    const options = { messagesPerSecond: SAFE_MESSAGES_PER_SECOND, isPaceAuto: true };
    const path = new Bottleneck({ bytesPerSecond: Infinity, roundTripMs: 1 }, { isBulk: true }, options);
    path.sender.searchPace(undefined);
    path.run(6000);
    const before = { bytes: path.arrivedBytes, messages: path.messages };
    path.run(1000);
    assert.ok(path.arrivedBytes - before.bytes > 40e6, `${path.arrivedBytes - before.bytes} bytes`);
    assert.ok(path.messages - before.messages <= 1.05 * SAFE_MESSAGES_PER_SECOND);
  });

  test('a path that swallows larger payloads loses no data: the trial message is repeated small', () => {
    const options = { messagesPerSecond: SAFE_MESSAGES_PER_SECOND, isPaceAuto: true };
    const settings = { bytesPerSecond: Infinity, roundTripMs: 20, dropAboveBytes: 4096 };
    const path = new Bottleneck(settings, { isBulk: true }, options);
    path.sender.searchPace(undefined);
    path.run(5000);
    const before = path.arrivedBytes;
    path.run(2000);
    const perSecond = (path.arrivedBytes - before) / 2;
    assert.ok(perSecond > 0.9 * 4096 * SAFE_MESSAGES_PER_SECOND, `${perSecond} bytes per second`);
    assert.equal(path.sender.takeLesson()?.refusedPayloadBytes, 8192);
    // Nothing stays behind that could never be acknowledged.
    assert.ok(path.sender.outbox.resends < 5, `${path.sender.outbox.resends} sent again`);
  });

  test('on a slow path payloads stay small, whatever was learnt elsewhere', () => {
    const options = { messagesPerSecond: SAFE_MESSAGES_PER_SECOND, isPaceAuto: true };
    const path = new Bottleneck({ bytesPerSecond: 64_000, roundTripMs: 50 }, { isBulk: true }, options);
    path.sender.searchPace({ ...SAFE_LESSON, payloadBytes: AUTO_PAYLOAD_MAX_BYTES });
    path.run(5000);
    path.longestWaitMs = 0;
    path.run(10_000);
    assert.ok(path.longestWaitMs < 300, `${path.longestWaitMs} ms of queue`);
  });
});
