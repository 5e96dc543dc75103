import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ErrorCode } from '../../src/errors.ts';
import { ProxyError } from '../../src/errors.ts';
import { BannerTimes } from '../../src/fleet/banner-times.ts';
import type { FleetNode } from '../../src/fleet/nodes.ts';
import { silentLog } from '../../src/log.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

function node(instanceId: string, isOnline = true): FleetNode {
  return {
    instance: { instanceId, region: 'us-east-1', state: 'running' },
    agent: { status: isOnline ? 'online' : 'lost' },
    ...{ cluster: undefined, role: undefined, number: undefined, profile: undefined },
  };
}

/** Every look takes 700 ms, and fails with `code` if there is one. */
function setUp(code?: ErrorCode) {
  const clock = new VirtualClock();
  /** When which node was looked at. */
  const looks: [seconds: number, instanceId: string][] = [];
  const startedAt = clock.now();
  const times = new BannerTimes({
    ...{
      contexts: [],
      env: {},
      clock,
      log: silentLog,
      endpointUrl: undefined,
      role: undefined,
      startsPerSecond: 3,
      reason: '',
    },
    look: async ({ instance }) => {
      looks.push([(clock.now() - startedAt) / 1000, instance.instanceId]);
      await new Promise<void>((resolve) => void clock.setTimer(700, resolve));
      if (code !== undefined) throw new ProxyError(code, code);
    },
  });
  return { clock, looks, times };
}

describe('the time to a banner in a live list', () => {
  it('is measured node by node, one in a second at most, and then known', async () => {
    const { clock, looks, times } = setUp();
    const [a, b, off] = [node('a'), node('b'), node('c', false)];
    for (let second = 0; second < 10; second += 1) {
      times.update([a, b, off]);
      if (second === 0) assert.deepEqual(times.of(a), { kind: 'measuring' });
      await clock.advanceAsync(1_000);
    }
    assert.deepEqual(looks, [
      [0, 'a'],
      [1, 'b'],
    ]);
    assert.deepEqual(times.of(b), { kind: 'measured', ms: 700 });
    assert.equal(times.of(off), undefined);
  });

  it('is measured again after a quarter of an hour, and when the node was away', async () => {
    const { clock, looks, times } = setUp();
    const go = async (minutes: number, isOnline = true): Promise<void> => {
      times.update([node('a', isOnline)]);
      await clock.advanceAsync(minutes * 60_000);
    };
    await go(14);
    await go(2);
    await go(1);
    assert.equal(looks.length, 2);
    await go(1, false);
    await go(1);
    assert.equal(looks.length, 3);
  });

  it('is tried again after a minute where nothing answered', async () => {
    const { clock, looks, times } = setUp('PORT_SILENT');
    for (let second = 0; second < 62; second += 1) {
      times.update([node('a')]);
      await clock.advanceAsync(1_000);
    }
    assert.equal(looks.length, 2);
    assert.deepEqual(times.of(node('a')), { kind: 'failed', code: 'PORT_SILENT' });
  });

  it('is left alone where no session may be started', async () => {
    const { clock, looks, times } = setUp('ACCESS_DENIED');
    times.update([node('a'), node('b')]);
    await clock.advanceAsync(5_000);
    times.update([node('a'), node('b')]);
    await clock.advanceAsync(100_000);
    assert.ok(looks.length <= 2, `${looks.length}`);
    times.update([node('a'), node('b')]);
    await clock.advanceAsync(100_000);
    assert.ok(looks.length <= 2, `${looks.length}`);
    await times.close();
  });
});
