/** Lookups that processes share: who asks EC2, for what, and who takes whose answer. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { AwsContext } from '../../src/aws/context.ts';
import type { Ec2Filter, InstanceRecord, InstanceState } from '../../src/aws/ec2.ts';
import { LookupFiles } from '../../src/gate/lookup-files.ts';
import { silentLog } from '../../src/log.ts';
import { SharedLookup } from '../../src/opening/shared-lookup.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const FILTER = 'network-interface.addresses.private-ip-address';

let directory: string;
let clock: VirtualClock;
let calls: (readonly Ec2Filter[])[];
let world: InstanceRecord[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ssm-proxy-lookup-'));
  clock = new VirtualClock();
  calls = [];
  world = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

function add(instanceId: string, address: string, state: InstanceState = 'running'): void {
  world.push({
    instance: { instanceId, region: 'us-east-1', state, launchTime: new Date(1_700_000_000_000) },
    addresses: [address],
    dnsNames: [],
    tags: new Map([['Name', instanceId]]),
    transitionReason: '',
  });
}

/** A context, as far as lookups look at it. */
function context(accessKeyId = 'AKIAQNZGKIQY5AAAAAAA', region = 'us-east-1'): AwsContext {
  const known: Partial<AwsContext> = {
    region,
    profile: undefined,
    endpoint: () => undefined,
    credentials: () => Promise.resolve({ accessKeyId, secretAccessKey: 'secret' }),
  };
  return known as AwsContext;
}

/** One process. `turnInMs`: when its turn at StartSession is. */
function startProcess(turnInMs = 0): SharedLookup {
  const turnAt = clock.now() + turnInMs;
  return new SharedLookup({
    files: new LookupFiles(directory),
    clock,
    log: silentLog,
    queue: {
      get patienceMs() {
        return Math.max(0, turnAt - clock.now());
      },
      pause: (delayMs) => new Promise((resolve) => void clock.setTimer(delayMs, resolve)),
    },
    ask: (_context, filters) => {
      calls.push(filters);
      const [, ...values] = filters[0] ?? [''];
      return Promise.resolve(
        world.filter(({ addresses }) => addresses.some((each) => values.includes(each))),
      );
    },
  });
}

const find = (process: SharedLookup, address: string, scope: readonly Ec2Filter[] = [], where = context()) =>
  process.describe(where, [[FILTER, address], ...scope], {});
const ids = (records: readonly InstanceRecord[]): string[] =>
  records.map(({ instance }) => instance.instanceId);

describe('shared lookups', () => {
  it('ask at once when nobody else has', async () => {
    add('i-1', '10.0.0.1');
    assert.deepEqual(ids(await find(startProcess(), '10.0.0.1')), ['i-1']);
    assert.deepEqual(calls, [[[FILTER, '10.0.0.1']]]);
  });

  it('take an answer that is less than three minutes old, whole', async () => {
    add('i-1', '10.0.0.1');
    const [asked] = await find(startProcess(), '10.0.0.1');
    const later = startProcess();
    clock.advance(179_000);
    const [shared] = await find(later, '10.0.0.1');
    assert.deepEqual(shared, asked);
    assert.equal(calls.length, 1);
    assert.equal(later.isDoubtful, true);
  });

  it('ask anew after three minutes', async () => {
    add('i-1', '10.0.0.1');
    await find(startProcess(), '10.0.0.1');
    clock.advance(180_001);
    const later = startProcess();
    await find(later, '10.0.0.1');
    assert.equal(calls.length, 2);
    assert.equal(later.isDoubtful, false);
  });

  it('ask once for all who wait for their turns', async () => {
    const found = [];
    for (let node = 0; node < 20; node += 1) {
      add(`i-${node}`, `10.0.0.${node}`);
      // The first one's turn is now; the call of the second comes with the others waiting.
      found.push(find(startProcess(node * 333 + (node > 0 ? 1_000 : 0)), `10.0.0.${node}`));
    }
    await clock.advanceAsync(20_000);
    assert.deepEqual(
      (await Promise.all(found)).map(ids),
      Array.from({ length: 20 }, (_each, node) => [`i-${node}`]),
    );
    assert.ok(calls.length <= 2, String(calls.length));
    assert.equal(new LookupFiles(directory).wishes('', clock.wallNow()).length, 0);
  });

  it('ask for themselves when nobody has asked by the time of their turn', async () => {
    add('i-1', '10.0.0.1');
    const found = find(startProcess(5_000), '10.0.0.1');
    await clock.advanceAsync(4_000);
    assert.equal(calls.length, 0);
    await clock.advanceAsync(500);
    assert.equal(calls.length, 1);
    assert.deepEqual(ids(await found), ['i-1']);
  });

  const notKept: readonly (readonly [name: string, prepare: () => void])[] = [
    ['an address that nobody has', () => {}],
    ['an instance that is pending', () => add('i-1', '10.0.0.1', 'pending')],
    ['an instance that is stopped', () => add('i-1', '10.0.0.1', 'stopped')],
    [
      'an address that two instances have',
      () => {
        add('i-1', '10.0.0.1');
        add('i-2', '10.0.0.1');
      },
    ],
  ];
  for (const [name, prepare] of notKept) {
    it(`keep no answer about ${name}`, async () => {
      prepare();
      const first = await find(startProcess(), '10.0.0.1');
      assert.deepEqual(await find(startProcess(), '10.0.0.1'), first);
      assert.equal(calls.length, 2);
    });
  }

  it('do not mix scopes, regions, accounts and other filters', async () => {
    add('i-1', '10.0.0.1');
    await find(startProcess(), '10.0.0.1');
    await find(startProcess(), '10.0.0.1', [['vpc-id', 'vpc-1']]);
    await find(startProcess(), '10.0.0.1', [], context('AKIAZZZZZZZZZZZZZZZZ'));
    await find(startProcess(), '10.0.0.1', [], context(undefined, 'eu-west-1'));
    await startProcess().describe(context(), [['ip-address', '10.0.0.1']], {});
    assert.equal(calls.length, 5);
  });

  it('leave lookups of other kinds alone', async () => {
    await startProcess(60_000).describe(context(), [['tag:Name', 'head', 'Head']], {});
    await startProcess(60_000).describe(context(), [['tag:Name', 'head']], {});
    assert.deepEqual(calls, [[['tag:Name', 'head', 'Head']], [['tag:Name', 'head']]]);
  });

  it('forget an answer that led nowhere, for everybody, and trust no other', async () => {
    add('i-old', '10.0.0.1');
    await find(startProcess(), '10.0.0.1');
    world = [];
    add('i-new', '10.0.0.1');
    const process = startProcess();
    assert.deepEqual(ids(await find(process, '10.0.0.1')), ['i-old']);
    process.forget();
    assert.deepEqual(ids(await find(process, '10.0.0.1')), ['i-new']);
    assert.deepEqual(ids(await find(startProcess(), '10.0.0.1')), ['i-new']);
    assert.equal(calls.length, 2);
  });
});
