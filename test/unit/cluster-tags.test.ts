/** Which node of which cluster a name means, by the tags of launchers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isClusterName, membership, nodeNames, numberWorkers } from '../../src/aws/cluster-tags.ts';
import { lookups, recognise } from '../../src/aws/instance-match.ts';
import { parseTarget } from '../../src/aws/target.ts';
import type { InstanceRecord, InstanceState } from '../../src/aws/ec2.ts';

function node(
  instanceId: string,
  cluster: string,
  isHead: boolean,
  state: InstanceState = 'running',
): InstanceRecord {
  const tags = new Map([
    ['skypilot-cluster-name', cluster],
    ['ray-cluster-name', cluster],
    ['skypilot-head-node', isHead ? '1' : '0'],
    ['Name', `sky-${cluster}-${isHead ? 'head' : 'worker'}`],
  ]);
  return {
    instance: { instanceId, name: tags.get('Name') ?? '', region: 'us-east-1', state },
    ...{ addresses: [], dnsNames: [], tags, transitionReason: '' },
  };
}

const TRAIN = [
  node('i-3', 'train-2ea485ea', false),
  node('i-1', 'train-2ea485ea', true),
  node('i-2', 'train-2ea485ea', false),
  node('i-0', 'train-2ea485ea', false, 'stopped'),
];
const OTHERS = [node('i-8', 'training-2ea485ea', true), node('i-9', 'train-b-2ea485ea', true)];

for (const [name, ids] of [
  ['train', ['i-1']],
  ['train-head', ['i-1']],
  ['head.train', ['i-1']],
  ['train-worker1', ['i-2']],
  ['train-worker2', ['i-3']],
  ['worker2.train', ['i-3']],
  ['w1.train', ['i-2']],
  ['train-worker3', []],
  ['TRAIN', ['i-1']],
  ['train-2ea485ea', ['i-1']],
  ['train-2ea485ea-worker1', ['i-2']],
  ['train-b', ['i-9']],
  ['trai', []],
  ['sky-train-2ea485ea-worker', ['i-3', 'i-2', 'i-0']],
] as const) {
  test(`${name} means ${ids.join(', ') || 'nothing'}`, () => {
    const found = recognise(parseTarget(name), [...TRAIN, ...OTHERS]);
    assert.deepEqual(
      found.map(({ instance }) => instance.instanceId),
      ids,
    );
  });
}

test('clusters of two users with one name are two candidates', () => {
  const records = [node('i-1', 'train-aaaa1111', true), node('i-2', 'train-bbbb2222', true)];
  assert.equal(recognise(parseTarget('train'), records).length, 2);
});

test("a Ray cluster's nodes are told apart by its own tag", () => {
  const tags = new Map([
    ['ray-cluster-name', 'lab'],
    ['ray-node-type', 'worker'],
  ]);
  assert.deepEqual(membership(tags), { cluster: 'lab', role: 'worker' });
  assert.equal(membership(new Map([['Name', 'x']])), undefined);
  assert.deepEqual(membership(new Map([['team', 'ml']]), 'team'), { cluster: 'ml', role: undefined });
});

test('only running workers are counted', () => {
  assert.deepEqual([...numberWorkers(TRAIN)].sort(), [
    ['i-2', 1],
    ['i-3', 2],
  ]);
});

test('what a name may mean, the most specific first', () => {
  assert.deepEqual(nodeNames('head.a-worker2'), [
    { cluster: 'a-worker2', role: 'head', number: undefined },
    { cluster: 'head.a', role: 'worker', number: 2 },
  ]);
});

test('a hash is at least two hexadecimal digits after a hyphen', () => {
  assert.ok(isClusterName('a-2e', 'a'));
  assert.ok(!isClusterName('a-2', 'a'));
  assert.ok(!isClusterName('a-xyz', 'a'));
  assert.ok(!isClusterName('ab-2ea4', 'a'));
});

test('addresses and IDs are looked up as before', () => {
  for (const target of ['10.0.1.10', 'i-0123456789abcdef0']) {
    assert.equal(lookups(parseTarget(target)).length, 1);
  }
  const [first] = lookups(parseTarget('train'));
  assert.equal(first?.[0], 'tag:Name');
});
