/** A link is renewed before the service cuts it, at a moment when nothing is in flight. Virtual time, no sockets. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { acknowledgeMessage, outputMessage } from '../support/fake-agent.ts';
import { bringUp, startSession } from '../support/session-bench.ts';

const RENEW_AFTER_MS = 100_000;

/** Answers pings, so that only what a test does ends a link. */
function keepAlive(bench: ReturnType<typeof startSession>): void {
  bench.link().onPong();
}

async function pass(
  bench: ReturnType<typeof startSession>,
  ms: number,
  each: () => void = () => {},
): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    await bench.clock.advanceAsync(100);
    keepAlive(bench);
    each();
  }
}

describe('renewal of a link', () => {
  test('happens in the first idle gap after its time, and loses nothing', async () => {
    const bench = startSession({ renewAfterMs: RENEW_AFTER_MS });
    bringUp(bench);
    await pass(bench, RENEW_AFTER_MS - 1000);
    assert.equal(bench.resumes(), 0);
    await pass(bench, 3000);
    assert.equal(bench.resumes(), 1);
    assert.equal(bench.links.length, 2);
    assert.ok(bench.links[0]?.isClosed);
    bench.link().onOpen();
    bench.link().onMessage(outputMessage(2, 'after'), true);
    assert.equal(bench.delivered(), 'after');
    assert.deepEqual(bench.outcomes, []);
  });

  test('under load makes a gap: delivery and sending stop, the link is renewed when all is settled, then all goes on', async () => {
    const bench = startSession({ renewAfterMs: RENEW_AFTER_MS });
    bringUp(bench);
    let next = 2;
    let isProducing = true;
    let expected = '';
    const produce = (): void => {
      if (!isProducing) return;
      bench.link().onMessage(outputMessage(next, `<${next}>`), true);
      expected += `<${next}>`;
      next += 1;
    };
    await pass(bench, RENEW_AFTER_MS * 1.1 - 500, produce);
    assert.equal(bench.resumes(), 0);
    assert.equal(bench.delivered(), expected);
    await pass(bench, 1000, produce);
    assert.ok(bench.delivered().length < expected.length, 'delivery is held');
    bench.session.write(Buffer.from('held back'));
    assert.deepEqual(bench.links[0]?.received.sequenceNumbers, [0], 'sending is held');
    // The user's window has run out.
    isProducing = false;
    await pass(bench, 1000);
    assert.equal(bench.resumes(), 1);
    assert.equal(bench.delivered(), expected, 'everything held has been delivered');
    bench.link().onOpen();
    assert.deepEqual(bench.links[1]?.received.sequenceNumbers, [1]);
    bench.link().onMessage(acknowledgeMessage(1), true);
    assert.ok(bench.session.stats().unackedMessages === 0);
    assert.deepEqual(bench.outcomes, []);
  });

  test('a source that never falls silent is not stalled for longer than the bound', async () => {
    const bench = startSession({ renewAfterMs: RENEW_AFTER_MS });
    bringUp(bench);
    let next = 2;
    let heldMs = 0;
    let longestMs = 0;
    let deliveredBytes = 0;
    await pass(bench, RENEW_AFTER_MS * 1.1 + 60_000, () => {
      bench.link().onMessage(outputMessage(next, 'x'), true);
      next += 1;
      const bytes = bench.delivered().length;
      heldMs = bytes === deliveredBytes ? heldMs + 100 : 0;
      deliveredBytes = bytes;
      longestMs = Math.max(longestMs, heldMs);
    });
    assert.equal(bench.resumes(), 0);
    assert.ok(longestMs >= 5000 && longestMs < 8000, `longest stall ${longestMs} ms`);
    assert.equal(bench.delivered().length, next - 2);
  });

  test('a link that is lost during a hold delivers what was held', async () => {
    const bench = startSession({ renewAfterMs: RENEW_AFTER_MS });
    bringUp(bench);
    let next = 2;
    await pass(bench, RENEW_AFTER_MS * 1.1 + 1000, () => {
      bench.link().onMessage(outputMessage(next, 'x'), true);
      next += 1;
    });
    assert.ok(bench.delivered().length < next - 2);
    bench.link().onClose({ code: 1006, reason: '', error: undefined });
    assert.equal(bench.delivered().length, next - 2);
  });
});
