/** How a session is ended from this side, and what its outcome is then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { channelClosedMessage, outputMessage } from '../support/fake-agent.ts';
import { startSession } from '../support/session-bench.ts';

test('a failure stays the outcome when the service answers TerminateSession with channel_closed first', async () => {
  let answer = (): void => {};
  const terminate = (): Promise<void> => new Promise((resolve) => (answer = resolve));
  const { session, clock, outcomes, link } = startSession({ terminate });
  link().onOpen();
  const error = new ProxyError('PORT_SILENT', 'nothing answers');
  const terminated = session.terminate({ kind: 'failed', error });
  link().onMessage(channelClosedMessage(''), true);
  answer();
  await clock.advanceAsync(0);
  await terminated;
  assert.deepEqual(outcomes, [{ kind: 'failed', error }]);
});

test('a session that is ended here and by the service at once was terminated, whatever the reason given', async () => {
  const { session, clock, outcomes, link } = startSession();
  link().onOpen();
  link().onMessage(outputMessage(0, 'x'), true);
  const terminated = session.terminate();
  link().onMessage(channelClosedMessage('connection reset'), true);
  await clock.advanceAsync(0);
  await terminated;
  assert.deepEqual(outcomes, [{ kind: 'terminated' }]);
});

test('a service that never answers delays the end by the bound only', async () => {
  const { session, clock, outcomes, link } = startSession({ terminate: () => new Promise(() => {}) });
  link().onOpen();
  link().onMessage(outputMessage(0, 'x'), true);
  void session.terminate();
  await clock.advanceAsync(1_499);
  assert.deepEqual(outcomes, []);
  await clock.advanceAsync(1);
  assert.deepEqual(outcomes, [{ kind: 'terminated' }]);
});

test('while it is being ended without a link, it does not wake for what it would have looked after', async () => {
  const { session, clock, outcomes, link } = startSession({
    resume: () => new Promise(() => {}),
    terminate: () => new Promise(() => {}),
  });
  link().onOpen();
  link().onMessage(outputMessage(0, 'x'), true);
  link().onClose({ code: 1006, reason: '', error: undefined });
  await clock.advanceAsync(19_000);
  void session.terminate();
  // A clock that stands still throws.
  await clock.advanceAsync(1_500);
  assert.deepEqual(outcomes, [{ kind: 'terminated' }]);
});
