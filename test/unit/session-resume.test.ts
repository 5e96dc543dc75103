/** How a session mends a lost link: how often it tries, and when it gives up. Virtual time, no sockets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import type { SessionOutcome } from '../../src/session/session.ts';
import { Session } from '../../src/session/session.ts';
import type { Connect, TransportEvents } from '../../src/transport/transport.ts';
import { outputMessage } from '../support/fake-agent.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const REFUSED = { code: 1006, reason: '', error: new ProxyError('CHANNEL_OPEN_FAILED', 'refused') };

/** A session over links that the test opens, feeds and cuts by hand. */
function start(resumeTimeoutMs: number) {
  const clock = new VirtualClock();
  const links: TransportEvents[] = [];
  const outcomes: SessionOutcome[] = [];
  let isRefusing = false;
  let resumes = 0;
  const connect: Connect = (_url, events) => {
    links.push(events);
    if (isRefusing) clock.setTimer(1, () => events.onClose(REFUSED));
    const nothing = (): void => {};
    return {
      send: nothing,
      sendText: nothing,
      ping: nothing,
      pause: nothing,
      resume: nothing,
      bufferedBytes: 0,
      close: nothing,
      destroy: nothing,
    };
  };
  const grant = { sessionId: 'user-1', streamUrl: 'wss://host/v1/data-channel/user-1', tokenValue: 'token' };
  const session = new Session(
    { grant, targetId: 'i-1', messagesPerSecond: undefined, resumeTimeoutMs },
    {
      connect,
      clock,
      log: silentLog,
      randomBytes: (count) => new Uint8Array(count),
      api: {
        resume: () => {
          resumes += 1;
          return Promise.resolve(grant);
        },
        terminate: () => Promise.resolve(),
        dataKey: () => Promise.reject(new Error('not encrypted')),
      },
    },
    {
      onReady() {},
      onData() {},
      onWritable() {},
      onDrained() {},
      onNotice() {},
      onEnd: (outcome) => outcomes.push(outcome),
    },
  );
  session.open();
  return {
    clock,
    outcomes,
    resumes: () => resumes,
    link: (): TransportEvents => {
      const link = links.at(-1);
      assert.ok(link !== undefined, 'a link was asked for');
      return link;
    },
    refuseLinks: (refuse: boolean): void => {
      isRefusing = refuse;
    },
  };
}

test('after a good link, links that never come up are tried ever more slowly, within the budget', async () => {
  const { clock, outcomes, resumes, link, refuseLinks } = start(60_000);
  link().onOpen();
  link().onMessage(outputMessage(0, 'SSH-2.0-x\r\n'), true);
  refuseLinks(true);
  link().onClose({ code: 1006, reason: '', error: undefined });
  await clock.advanceAsync(3_000);
  assert.ok(resumes() >= 3 && resumes() <= 6, `${resumes()} attempts in 3 s`);
  await clock.advanceAsync(60_000);
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.kind === 'failed' ? outcome.error.code : outcome.kind)),
    ['SESSION_LOST'],
  );
  assert.ok(resumes() <= 20, `${resumes()} attempts in a minute`);
});

test('every loss of a link that carried data is mended at once and with a budget of its own', async () => {
  const { clock, outcomes, resumes, link } = start(1_000);
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
