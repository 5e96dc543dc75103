/** A session in virtual time, over links that the test opens, feeds and cuts by hand. No sockets. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { ProxyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { PAYLOAD_TYPE } from '../../src/protocol/message.ts';
import type { SessionOutcome } from '../../src/session/session.ts';
import { Session } from '../../src/session/session.ts';
import type { Connect, TransportEvents } from '../../src/transport/transport.ts';
import {
  Received,
  acknowledgeMessage,
  handshakeComplete,
  handshakeRequest,
  outputMessage,
} from './fake-agent.ts';
import { VirtualClock } from './virtual-clock.ts';

const REFUSED = { code: 1006, reason: '', error: new ProxyError('CHANNEL_OPEN_FAILED', 'refused') };

export interface SessionBenchOptions {
  readonly resumeTimeoutMs?: number;
  readonly renewAfterMs?: number;
  /** The ResumeSession call; default: succeeds. */
  readonly resume?: () => Promise<void>;
  /** What a look at instance and agent finds. */
  readonly diagnose?: () => Promise<ProxyError | undefined>;
  /** The TerminateSession call. */
  readonly terminate?: () => Promise<void>;
}

/** One link as the bench sees it. */
export interface BenchLink {
  readonly events: TransportEvents;
  readonly received: Received;
  pings: number;
  isClosed: boolean;
}

export function startSession(options: SessionBenchOptions = {}) {
  const clock = new VirtualClock();
  const links: BenchLink[] = [];
  const delivered: Buffer[] = [];
  const outcomes: SessionOutcome[] = [];
  let isRefusing = false;
  let resumes = 0;
  let waiters = 0;
  const connect: Connect = (_url, events) => {
    const link: BenchLink = { events, received: new Received(), pings: 0, isClosed: false };
    links.push(link);
    if (isRefusing) clock.setTimer(1, () => events.onClose(REFUSED));
    const nothing = (): void => {};
    return {
      send: (messages) => {
        for (const message of messages) link.received.add(message);
      },
      sendText: nothing,
      ping: () => {
        link.pings += 1;
      },
      pause: nothing,
      resume: nothing,
      bufferedBytes: 0,
      close: () => {
        link.isClosed = true;
      },
      destroy: () => {
        link.isClosed = true;
      },
    };
  };
  const grant = { sessionId: 'user-1', streamUrl: 'wss://host/v1/data-channel/user-1', tokenValue: 'token' };
  const session = new Session(
    {
      grant,
      targetId: 'i-1',
      messagesPerSecond: undefined,
      resumeTimeoutMs: options.resumeTimeoutMs ?? 60_000,
      renewAfterMs: options.renewAfterMs,
    },
    {
      connect,
      clock,
      log: silentLog,
      randomBytes: (count) => new Uint8Array(count),
      api: {
        resume: async (signal) => {
          resumes += 1;
          waiters = getEventListeners(signal, 'abort').length;
          await options.resume?.();
          return grant;
        },
        ...(options.diagnose !== undefined && { diagnose: options.diagnose }),
        terminate: options.terminate ?? (() => Promise.resolve()),
        dataKey: () => Promise.reject(new Error('not encrypted')),
      },
    },
    {
      onReady() {},
      onData: (data) => {
        delivered.push(data);
        session.consumed(data.length);
      },
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
    /** All links, oldest first. */
    links,
    delivered: (): string => Buffer.concat(delivered).toString('latin1'),
    /** The newest link. */
    link: (): TransportEvents => {
      const link = links.at(-1);
      assert.ok(link !== undefined, 'a link was asked for');
      return link.events;
    },
    refuseLinks: (refuse: boolean): void => {
      isRefusing = refuse;
    },
  };
}

/** Brings a session up over its newest link: open message, handshake, everything acknowledged. */
export function bringUp(bench: ReturnType<typeof startSession>): void {
  const link = bench.link();
  link.onOpen();
  link.onMessage(outputMessage(0, handshakeRequest(), PAYLOAD_TYPE.HANDSHAKE_REQUEST), true);
  link.onMessage(acknowledgeMessage(0), true);
  link.onMessage(outputMessage(1, handshakeComplete(), PAYLOAD_TYPE.HANDSHAKE_COMPLETE), true);
}
