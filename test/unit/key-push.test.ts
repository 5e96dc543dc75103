import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AwsContext } from '../../src/aws/context.ts';
import { ProxyError } from '../../src/errors.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { HeldBack } from '../../src/opening/held-back.ts';
import { KeyPush } from '../../src/opening/key-push.ts';
import { TimeBudget } from '../../src/opening/time-budget.ts';
import type { SessionOutcome } from '../../src/session/session.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const ID = 'i-0123456789abcdef0';
/** Nothing of it is looked at. */
const context = {} as AwsContext;

/** `answers`: what becomes of each push, in order; then all go well. */
function setUp(...answers: readonly (ErrorCode | undefined)[]) {
  const clock = new VirtualClock();
  const limit = { limitMs: 300_000, name: undefined, elasticMs: 0 };
  const pushed: string[] = [];
  const push = new KeyPush(() => Promise.resolve({ user: 'ubuntu', publicKey: 'ssh-ed25519 AAAA' }), {
    ...{ clock, log: silentLog, enter: () => {} },
    budget: new TimeBudget(clock, limit, new AbortController().signal),
    send: (_context, { instanceId, user }) => {
      const code = answers[pushed.length];
      pushed.push(`${user}@${instanceId}`);
      return code === undefined ? Promise.resolve() : Promise.reject(new ProxyError(code, code));
    },
  });
  return { clock, push, pushed };
}

describe('a pushed key', () => {
  it('is sent once, as soon as the instance is known', async () => {
    const { clock, push, pushed } = setUp();
    push.found(context, ID);
    await clock.advanceAsync(0);
    assert.deepEqual(pushed, [`ubuntu@${ID}`]);
    push.granted();
    await clock.advanceAsync(44_000);
    await push.ready();
    assert.equal(pushed.length, 1);
  });

  it('is sent again when the session took long to start', async () => {
    const { clock, push, pushed } = setUp();
    push.found(context, ID);
    await clock.advanceAsync(50_000);
    push.granted();
    await push.ready();
    assert.equal(pushed.length, 2);
  });

  it('is sent again before the banner when that took long', async () => {
    const { clock, push, pushed } = setUp();
    push.found(context, ID);
    push.granted();
    await clock.advanceAsync(46_000);
    await push.ready();
    assert.equal(pushed.length, 2);
  });

  it('is sent when the instance runs, if it did not before', async () => {
    const { push, pushed } = setUp('TARGET_STOPPED');
    push.found(context, ID);
    push.granted();
    await push.ready();
    assert.equal(pushed.length, 2);
  });

  it('is sent to the right instance when the first one was a mistake', async () => {
    const { push, pushed } = setUp();
    push.found(context, 'i-00000000');
    push.found(context, ID);
    push.granted();
    await push.ready();
    assert.equal(pushed.at(-1), `ubuntu@${ID}`);
  });

  it('that may not be sent is not tried again', async () => {
    const { push, pushed } = setUp('ACCESS_DENIED');
    push.found(context, ID);
    push.granted();
    await assert.rejects(push.ready(), { code: 'ACCESS_DENIED' });
    assert.equal(pushed.length, 1);
  });
});

describe('what the far end says meanwhile', () => {
  function hold() {
    const told: string[] = [];
    let settle: { resolve(): void; reject(error: Error): void } | undefined;
    const promise = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
    const outer = {
      ...{
        onStage: () => {},
        onReady: () => {},
        onWritable: () => {},
        onDrained: () => {},
        onNotice: () => {},
      },
      onData: (data: Buffer) => void told.push(data.toString()),
      onEnd: (outcome: SessionOutcome) =>
        void told.push(outcome.kind === 'failed' ? outcome.error.code : outcome.kind),
    };
    return {
      told,
      ready: { resolve: () => settle?.resolve(), reject: (error: Error) => settle?.reject(error) },
      events: new HeldBack(outer, () => promise).events,
    };
  }
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('is passed on in order, its end last', async () => {
    const { told, ready, events } = hold();
    for (const text of ['a', 'b']) events.onData(Buffer.from(text), 'stdout');
    events.onEnd({ kind: 'ended', output: '', isTruncated: false });
    await settled();
    assert.deepEqual(told, []);
    ready.resolve();
    await settled();
    assert.deepEqual(told, ['a', 'b', 'ended']);
  });

  it('is dropped when the key cannot be pushed', async () => {
    const { told, ready, events } = hold();
    events.onData(Buffer.from('a'), 'stdout');
    events.onEnd({ kind: 'ended', output: '', isTruncated: false });
    ready.reject(new ProxyError('ACCESS_DENIED', 'no'));
    await settled();
    assert.deepEqual(told, ['ACCESS_DENIED']);
  });
});
