/** A session in virtual time, over links that the test opens, feeds and cuts by hand. No sockets. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { ProxyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import type { SessionOutcome } from '../../src/session/session.ts';
import { Session } from '../../src/session/session.ts';
import type { Connect, TransportEvents } from '../../src/transport/transport.ts';
import { VirtualClock } from './virtual-clock.ts';

const REFUSED = { code: 1006, reason: '', error: new ProxyError('CHANNEL_OPEN_FAILED', 'refused') };

export interface SessionBenchOptions {
  readonly resumeTimeoutMs?: number;
  /** The TerminateSession call. */
  readonly terminate?: () => Promise<void>;
}

export function startSession(options: SessionBenchOptions = {}) {
  const clock = new VirtualClock();
  const links: TransportEvents[] = [];
  const outcomes: SessionOutcome[] = [];
  let isRefusing = false;
  let resumes = 0;
  let waiters = 0;
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
    {
      grant,
      targetId: 'i-1',
      messagesPerSecond: undefined,
      resumeTimeoutMs: options.resumeTimeoutMs ?? 60_000,
    },
    {
      connect,
      clock,
      log: silentLog,
      randomBytes: (count) => new Uint8Array(count),
      api: {
        resume: (signal) => {
          resumes += 1;
          waiters = getEventListeners(signal, 'abort').length;
          return Promise.resolve(grant);
        },
        terminate: options.terminate ?? (() => Promise.resolve()),
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
    session,
    clock,
    outcomes,
    resumes: () => resumes,
    /** Listeners on the signal of the newest attempt. */
    waiters: () => waiters,
    /** The newest link. */
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
