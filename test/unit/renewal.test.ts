import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HOLD_LIMIT_BYTES, Renewal } from '../../src/session/renewal.ts';

const TIMES = { watchAfterMs: 100_000, holdAfterMs: 110_000 };
const QUIET = { isSettled: true, heldBytes: 0, roundTripMs: 100 };
const BUSY = { isSettled: false, heldBytes: 0, roundTripMs: 100 };

function linked(): Renewal {
  const renewal = new Renewal(TIMES);
  renewal.linkUp(0);
  return renewal;
}

describe('renewal', () => {
  test('a young link is left alone, however quiet', () => {
    const renewal = linked();
    assert.equal(renewal.decide(99_999, QUIET), 'wait');
    assert.equal(renewal.deadline(50_000), 100_000);
  });

  test('the first idle gap is used', () => {
    const renewal = linked();
    renewal.traffic(99_800);
    assert.equal(renewal.decide(100_000, QUIET), 'wait');
    assert.equal(renewal.decide(100_799, QUIET), 'wait');
    assert.equal(renewal.decide(100_800, QUIET), 'renew');
  });

  test('unacknowledged data is no idle gap', () => {
    assert.equal(linked().decide(105_000, BUSY), 'wait');
  });

  test('under load a gap is made, once, and used when all is settled and quiet for two round trips', () => {
    const renewal = linked();
    renewal.traffic(110_000);
    assert.equal(renewal.decide(110_000, BUSY), 'hold');
    assert.ok(renewal.isHolding);
    renewal.traffic(112_000);
    assert.equal(renewal.decide(112_000, BUSY), 'wait');
    assert.equal(renewal.decide(112_449, QUIET), 'wait');
    assert.equal(renewal.decide(112_450, QUIET), 'renew');
  });

  test('a source that never falls silent is let go, and tried again later', () => {
    for (const facts of [{ ...BUSY, heldBytes: HOLD_LIMIT_BYTES }, BUSY]) {
      const renewal = linked();
      renewal.traffic(110_000);
      assert.equal(renewal.decide(110_000, BUSY), 'hold');
      assert.equal(renewal.decide(117_000, facts), 'release');
      assert.ok(!renewal.isHolding);
      renewal.traffic(117_000);
      assert.equal(renewal.decide(117_100, BUSY), 'wait');
      assert.equal(renewal.decide(147_000, BUSY), 'hold');
    }
  });

  test('the next link starts afresh', () => {
    const renewal = linked();
    renewal.linkDown();
    assert.equal(renewal.deadline(200_000), undefined);
    assert.equal(renewal.decide(200_000, QUIET), 'wait');
    renewal.linkUp(200_000);
    assert.equal(renewal.decide(299_999, QUIET), 'wait');
  });

  test('the next look is always in the future', () => {
    const renewal = linked();
    for (const now of [0, 99_999, 100_000, 105_000, 120_000]) assert.ok((renewal.deadline(now) ?? 0) > now);
    renewal.traffic(110_000);
    renewal.decide(110_000, BUSY);
    assert.ok((renewal.deadline(110_000) ?? 0) > 110_000);
  });
});
