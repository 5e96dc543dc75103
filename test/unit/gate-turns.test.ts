import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { accountOfKey, fingerprint } from '../../src/gate/identity.ts';
import type { Turn, TurnRate, TurnState } from '../../src/gate/turns.ts';
import {
  PUT_OFF_MS,
  depart,
  formatTurns,
  parseTurns,
  putOffAll,
  reserveTurn,
  returnTurn,
  turnTime,
} from '../../src/gate/turns.ts';

const RATE: TurnRate = { perSecond: 4, burst: 2 };
const NOW = 1_800_000_000_000;
const FOR_EVER = Number.MAX_SAFE_INTEGER;

/** The text of a bucket, as processes would share it. */
class Bucket {
  text: string | undefined;

  get state(): TurnState | undefined {
    return parseTurns(this.text);
  }

  reserve(now: number, latest = FOR_EVER, rate = RATE): Turn | undefined {
    const reserved = reserveTurn(this.state, rate, now, latest);
    if (reserved.turn !== undefined) this.text = formatTurns(reserved.state);
    return reserved.turn;
  }

  /** Milliseconds from `now` until each of so many turns, 0 for at once. */
  delays(count: number, now: number): number[] {
    return Array.from({ length: count }, () => Math.max(0, (this.reserve(now)?.atMs ?? NaN) - now));
  }
}

describe('turns', () => {
  it('come at once up to the burst, then at the rate, in the order of asking', () => {
    assert.deepEqual(new Bucket().delays(6, NOW), [0, 0, 250, 500, 750, 1000]);
  });

  it('come at once for who comes alone', () => {
    const bucket = new Bucket();
    for (let call = 0; call < 20; call += 1) assert.deepEqual(bucket.delays(1, NOW + call * 250), [0]);
  });

  it('let a burst through again only after a quiet time', () => {
    const bucket = new Bucket();
    bucket.delays(4, NOW);
    assert.deepEqual(bucket.delays(2, NOW + 750), [0, 250]);
    assert.deepEqual(bucket.delays(3, NOW + 60_000), [0, 0, 250]);
  });

  it('never exceed rate and burst in any window, whenever they are asked for', () => {
    const bucket = new Bucket();
    const times: number[] = [];
    let now = NOW;
    // Steps of all sizes, without chance.
    for (let call = 0; call < 500; call += 1) {
      now += (call * 7919) % 400;
      times.push(Math.max(now, bucket.reserve(now)?.atMs ?? NaN));
    }
    times.sort((a, b) => a - b);
    for (const [first, from] of times.entries()) {
      for (let last = first; last < times.length; last += 1) {
        const windowMs = (times[last] ?? NaN) - from;
        assert.ok(last - first + 1 <= RATE.burst + (windowMs / 1000) * RATE.perSecond + 1e-3);
      }
    }
  });

  it('are not reserved when they are too far away', () => {
    const bucket = new Bucket();
    bucket.delays(6, NOW);
    const before = bucket.text;
    assert.equal(bucket.reserve(NOW, NOW + 1_000), undefined);
    assert.equal(bucket.text, before);
    const refused = reserveTurn(bucket.state, RATE, NOW, NOW + 1_000);
    assert.deepEqual(refused, { turn: undefined, atMs: NOW + 1_250 });
  });

  it('keep calls apart that come late to them, as far as the bucket of AWS has not filled meanwhile', () => {
    const bucket = new Bucket();
    const departures = (count: number, now: number): number[] =>
      Array.from({ length: count }, () => {
        const { atMs, state } = depart(bucket.state, RATE, now);
        bucket.text = formatTurns(state);
        return Math.max(0, atMs - now);
      });
    assert.deepEqual(departures(4, NOW), [0, 0, 250, 500]);
    assert.deepEqual(departures(1, NOW + 750), [0]);
    assert.deepEqual(departures(3, NOW + 5_000), [0, 0, 250]);
    bucket.text = formatTurns(putOffAll(bucket.state, NOW + 5_500));
    assert.ok((departures(1, NOW + 5_500)[0] ?? 0) >= PUT_OFF_MS);
  });

  it('are put off for all who wait when AWS throttles, and for who comes later', () => {
    const bucket = new Bucket();
    bucket.delays(3, NOW);
    const waiting = bucket.reserve(NOW);
    assert.ok(waiting);
    bucket.text = formatTurns(putOffAll(bucket.state, NOW + 100));
    assert.equal(turnTime(waiting, bucket.state), NOW + 500 + PUT_OFF_MS);
    const later = bucket.reserve(NOW + 100);
    assert.ok(later);
    assert.equal(later.atMs, NOW + 750 + PUT_OFF_MS);
    assert.equal(turnTime(later, bucket.state), later.atMs);
  });

  it('are put off once by throttled calls that come together', () => {
    const once = putOffAll(undefined, NOW);
    assert.deepEqual(putOffAll(once, NOW + 500), once);
    assert.equal(putOffAll(once, NOW + PUT_OFF_MS).putOffMs, 2 * PUT_OFF_MS);
  });

  it('come further apart after throttles, up to a bound, and recover', () => {
    let state: TurnState | undefined;
    for (let times = 0; times < 50; times += 1) state = putOffAll(state, NOW + times * PUT_OFF_MS);
    const gapAt = (now: number): number => {
      const reserved = reserveTurn(state && { ...state, nextMs: now }, RATE, now, FOR_EVER);
      return reserved.turn === undefined ? NaN : reserved.state.nextMs - now;
    };
    const end = NOW + 49 * PUT_OFF_MS;
    assert.ok(gapAt(end) > 1_000 && gapAt(end) <= 1_500, String(gapAt(end)));
    assert.ok(gapAt(end + 15_000) < gapAt(end));
    assert.equal(gapAt(end + 600_000), 250);
  });

  it('are given back when nobody has reserved after them', () => {
    const bucket = new Bucket();
    bucket.delays(4, NOW);
    const before = bucket.state;
    const turn = bucket.reserve(NOW);
    assert.ok(turn);
    assert.deepEqual(returnTurn(bucket.state, turn, RATE), before);
    bucket.reserve(NOW);
    assert.equal(returnTurn(bucket.state, turn, RATE), undefined);
  });

  it('start afresh when the clock was set back, or with a text that is not theirs', () => {
    const ahead = formatTurns({
      nextMs: NOW + 7_200_000,
      departMs: 0,
      putOffMs: 0,
      slowdown: 1,
      throttledAtMs: 0,
    });
    for (const text of [
      ahead,
      '',
      '2 1 2 3 4',
      '1 1 2 3',
      '1 a b c d',
      '1 1 2 3 4 5',
      '1 -1 0 1 0',
      '1 NaN 0 1 0',
    ]) {
      const bucket = new Bucket();
      bucket.text = text;
      assert.deepEqual(bucket.delays(1, NOW), [0], text);
    }
  });
});

describe('identity', () => {
  it('is the account for long-term and temporary keys', () => {
    // A published pair of key and account.
    assert.equal(accountOfKey('ASIAQNZGKIQY56JQ7WML'), '029608264753');
    assert.equal(accountOfKey('AKIAQNZGKIQY5AAAAAAA'), accountOfKey('ASIAQNZGKIQY56JQ7WML'));
  });

  it('is the key itself where no account is in it', () => {
    for (const key of ['test', 'AKIA0000000000000000', 'AIDAQNZGKIQY56JQ7WML', ''])
      assert.equal(accountOfKey(key), key);
  });

  it('becomes a file name that tells parts apart', () => {
    assert.match(fingerprint('a', 'b'), /^[0-9a-f]{20}$/);
    assert.notEqual(fingerprint('a', 'b'), fingerprint('ab'));
    assert.notEqual(fingerprint('a', 'b'), fingerprint('a', 'b', ''));
  });
});
