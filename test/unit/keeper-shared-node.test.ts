/** Which session of a node a connection rides on, and when sessions are opened and ended. In virtual time. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { NotShareable } from '../../src/keeper/node-session.ts';
import type { NodeSession, NodeSessionEvents } from '../../src/keeper/node-session.ts';
import { BUSY_BYTES_PER_SECOND, SharedNode } from '../../src/keeper/shared-node.ts';
import type { StreamWish } from '../../src/keeper/shared-node.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

class FakeSession implements NodeSession {
  readonly instanceId = 'i-0123456789abcdef0';
  readonly region = 'us-east-1';
  readonly sessionId: string;
  readonly events: NodeSessionEvents;
  isOpen = true;
  isTerminated = false;
  receivedBytes = 0;

  constructor(sessionId: string, events: NodeSessionEvents) {
    this.sessionId = sessionId;
    this.events = events;
  }

  openStream(): Duplex {
    return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  }

  stats() {
    return { receivedBytes: this.receivedBytes, sentBytes: 0, roundTripMs: 1, resumes: 0 };
  }

  terminate(): Promise<void> {
    this.isTerminated = true;
    this.isOpen = false;
    this.events.onEnd();
    return Promise.resolve();
  }
}

function bench(fail?: () => Error | undefined) {
  const clock = new VirtualClock();
  const sessions: FakeSession[] = [];
  let opens = 0;
  const node = new SharedNode({
    destination: 'node:22',
    clock,
    open: async (events) => {
      opens += 1;
      await Promise.resolve();
      events.onStage('opening');
      const error = fail?.();
      if (error !== undefined) throw error;
      const session = new FakeSession(`s-${sessions.length + 1}`, events);
      sessions.push(session);
      return session;
    },
  });
  const wish: StreamWish = { idleMs: 600_000, maxSessions: 3, onStage: () => {} };
  return { clock, sessions, node, wish, opens: () => opens };
}

test('fifty connections at once ride on one session', async () => {
  const { node, wish, sessions } = bench();
  const streams = await Promise.all(Array.from({ length: 50 }, () => node.stream(wish)));
  assert.equal(sessions.length, 1);
  assert.ok(streams.every(({ session }) => session === sessions[0]));
});

test('everybody who waits is told how it goes', async () => {
  const { node, wish } = bench();
  const stages: string[] = [];
  const waiting = Array.from({ length: 3 }, (_, index) =>
    node.stream({ ...wish, onStage: (text) => stages.push(`${index} ${text}`) }),
  );
  await Promise.all(waiting);
  assert.deepEqual(stages.sort(), ['0 opening', '1 opening', '2 opening']);
});

test('a busy session gets company, up to the bound', async () => {
  const { clock, node, wish, sessions } = bench();
  await node.stream(wish);
  for (let count = 0; count < 4; count += 1) {
    for (const session of sessions) session.receivedBytes += BUSY_BYTES_PER_SECOND + 1;
    clock.advance(1_000);
    await node.stream(wish);
  }
  assert.equal(sessions.length, 3);
});

test('a session that carries half of what it can is not busy', async () => {
  const { clock, node, wish, sessions } = bench();
  await node.stream(wish);
  sessions[0]!.receivedBytes += BUSY_BYTES_PER_SECOND;
  clock.advance(1_000);
  await node.stream(wish);
  assert.equal(sessions.length, 1);
});

test('when no other session can be had, the busy one serves', async () => {
  let mayOpen = true;
  const { clock, node, wish, sessions } = bench(() =>
    mayOpen ? undefined : new ProxyError('THROTTLED', 'no'),
  );
  await node.stream(wish);
  mayOpen = false;
  sessions[0]!.receivedBytes += BUSY_BYTES_PER_SECOND + 1;
  clock.advance(1_000);
  assert.equal((await node.stream(wish)).session, sessions[0]);
});

test('a session is ended when nobody has used it for the idle time', async () => {
  const { clock, node, wish, sessions } = bench();
  const { stream } = await node.stream(wish);
  clock.advance(2 * wish.idleMs);
  assert.equal(sessions[0]!.isTerminated, false, 'it is in use');
  stream.destroy();
  await new Promise((resolve) => stream.once('close', resolve));
  clock.advance(wish.idleMs - 2_000);
  assert.equal(sessions[0]!.isTerminated, false);
  clock.advance(4_000);
  assert.equal(sessions[0]!.isTerminated, true);
  assert.ok(node.isForgettable);
});

test('a session that has ended is followed by a new one', async () => {
  const { node, wish, sessions } = bench();
  await node.stream(wish);
  sessions[0]!.isOpen = false;
  sessions[0]!.events.onEnd();
  assert.equal((await node.stream(wish)).session, sessions[1]);
});

test('a failure is told to all who waited, and tried anew for the next', async () => {
  let error: Error | undefined = new ProxyError('TARGET_NOT_FOUND', 'none');
  const { node, wish } = bench(() => error);
  const outcomes = await Promise.allSettled([node.stream(wish), node.stream(wish)]);
  assert.deepEqual(
    outcomes.map((outcome) => outcome.status === 'rejected' && (outcome.reason as ProxyError).code),
    ['TARGET_NOT_FOUND', 'TARGET_NOT_FOUND'],
  );
  error = undefined;
  await node.stream(wish);
});

test('a node that cannot be shared is not tried again for ten minutes', async () => {
  const { clock, node, wish, opens } = bench(() => new NotShareable('the agent is old'));
  for (let count = 0; count < 3; count += 1) await assert.rejects(node.stream(wish), NotShareable);
  assert.equal(opens(), 1);
  assert.equal(node.isForgettable, false);
  clock.advance(600_000);
  await assert.rejects(node.stream(wish), NotShareable);
  assert.equal(opens(), 2);
});

test('the end of a node ends a session that is just being opened', async () => {
  const { node, wish, sessions } = bench();
  const waiting = node.stream(wish);
  await node.end();
  await waiting.catch(() => {});
  assert.equal(sessions[0]!.isTerminated, true);
});
