/** How a session mends a lost link: how often it tries, and when it gives up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import type { SessionOutcome } from '../../src/session/session.ts';
import { outputMessage } from '../support/fake-agent.ts';
import { startSession } from '../support/session-bench.ts';

test('after a good link, links that never come up are tried ever more slowly, within the budget', async () => {
  const { clock, outcomes, resumes, waiters, link, refuseLinks } = startSession({ resumeTimeoutMs: 60_000 });
  link().onOpen();
  link().onMessage(outputMessage(0, 'SSH-2.0-x\r\n'), true);
  refuseLinks(true);
  link().onClose({ code: 1006, reason: '', error: undefined });
  await clock.advanceAsync(3_000);
  assert.ok(resumes() >= 3 && resumes() <= 6, `${resumes()} attempts in 3 s`);
  await clock.advanceAsync(60_000);
  assert.deepEqual(codesOf(outcomes), ['SESSION_LOST']);
  assert.ok(resumes() > 10 && resumes() <= 20, `${resumes()} attempts in a minute`);
  // Node warns on stderr, which ssh shows, about eleven.
  assert.equal(waiters(), 0);
});

test('every loss of a link that carried data is mended at once and with a budget of its own', async () => {
  const { clock, outcomes, resumes, link } = startSession({ resumeTimeoutMs: 1_000 });
  for (let loss = 0; loss < 5; loss += 1) {
    link().onOpen();
    link().onMessage(outputMessage(loss, 'x'), true);
    await clock.advanceAsync(900);
    link().onClose({ code: 1000, reason: 'Bye', error: undefined });
    await clock.advanceAsync(0);
    assert.equal(resumes(), loss + 1);
  }
  assert.deepEqual(outcomes, []);
});

const REFUSED = {
  code: 1006,
  reason: '',
  error: new ProxyError('ACCESS_DENIED', 'HTTP 403'),
  httpStatus: 403,
};

test('a refused upgrade ends a session that never ran, at once', async () => {
  const { clock, outcomes, resumes, link } = startSession();
  link().onClose(REFUSED);
  await clock.advanceAsync(2_000);
  assert.deepEqual(codesOf(outcomes), ['ACCESS_DENIED']);
  assert.equal(resumes(), 0);
});

test('a refused upgrade of a session that ran is tried again, then believed', async () => {
  const { clock, outcomes, resumes, links, link } = startSession();
  link().onOpen();
  link().onMessage(outputMessage(0, 'x'), true);
  link().onClose({ code: 1006, reason: '', error: undefined });
  await clock.advanceAsync(0);
  link().onClose(REFUSED);
  await clock.advanceAsync(1_000);
  assert.deepEqual(outcomes, []);
  assert.ok(resumes() > 1);
  // Credentials that stay refused.
  for (let seen = 0; outcomes.length === 0 && seen < links.length;) {
    seen = links.length;
    link().onClose(REFUSED);
    await clock.advanceAsync(11_000);
  }
  assert.deepEqual(codesOf(outcomes), ['ACCESS_DENIED']);
  assert.equal(resumes(), 6);
});

function codesOf(outcomes: readonly SessionOutcome[]): string[] {
  return outcomes.map((outcome) => (outcome.kind === 'failed' ? outcome.error.code : outcome.kind));
}
