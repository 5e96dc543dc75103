/** The list of nodes as a person sees it, on terminals of several widths. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { nodeTable } from '../../src/cli/node-table.ts';
import type { BannerTime } from '../../src/fleet/banner-times.ts';
import type { FleetNode } from '../../src/fleet/nodes.ts';
import { projectRoot } from '../support/cli.ts';
import { assertGolden } from '../support/golden.ts';

const NOW = Date.parse('2026-11-23T12:00:00Z');

function node(
  id: string,
  cluster: string | undefined,
  number: number | undefined,
  changes: Partial<FleetNode['instance']> = {},
  status: FleetNode['agent']['status'] = 'online',
): FleetNode {
  const role = cluster === undefined ? undefined : number === undefined ? 'head' : 'worker';
  return {
    instance: {
      instanceId: `i-0123456789abcde${id}`,
      name: cluster === undefined ? 'bastion' : `sky-${cluster}-${role}`,
      privateIp: `10.0.1.${parseInt(id, 16)}`,
      region: 'us-east-1',
      state: 'running',
      launchTime: new Date(NOW - 7_500_000),
      ...changes,
    },
    agent: { status, agentVersion: '3.3.987.0' },
    ...{ cluster, role, number, profile: undefined },
  };
}

const NODES = [
  node('f0', 'train-2ea485ea', undefined),
  node('f1', 'train-2ea485ea', 1, {}, 'lost'),
  node('f2', 'train-2ea485ea', 2, { state: 'pending', launchTime: new Date(NOW - 30_000) }, 'unregistered'),
  node('f3', 'lab', undefined, { region: 'eu-central-1' }),
  node('f4', undefined, undefined, { name: 'ba\u001b[31mstion' }, 'unknown'),
];

for (const width of [40, 80, 120, undefined]) {
  test(`on ${width ?? 'no'} columns`, () => {
    const table = nodeTable(NODES, NOW, width);
    assertGolden(join(projectRoot, 'test', 'unit', 'golden', `nodes-${width ?? 'all'}.txt`), table);
    const longest = Math.max(...table.split('\n').map((line) => line.length));
    if (width !== undefined && width >= 80) assert.ok(longest <= width, `${longest} columns`);
    assert.ok(!table.includes('\u001b'));
  });
}

const TIMES: Readonly<Record<string, BannerTime>> = {
  'i-0123456789abcdef0': { kind: 'measured', ms: 842 },
  'i-0123456789abcdef3': { kind: 'failed', code: 'PORT_SILENT' },
  'i-0123456789abcdef4': { kind: 'measuring' },
};

for (const width of [80, 200]) {
  test(`a live list on ${width} columns has the time to the banner`, () => {
    const table = nodeTable(NODES, NOW, width, ({ instance }) => TIMES[instance.instanceId]);
    assertGolden(join(projectRoot, 'test', 'unit', 'golden', `nodes-live-${width}.txt`), table);
    assert.ok(table.split('\n').every((line) => line.length <= width));
  });
}

test('profiles have a column when there are any', () => {
  assert.ok(!nodeTable(NODES, NOW, undefined).includes('PROFILE'));
  const named = NODES.map((each) => ({ ...each, profile: 'research' }));
  assert.match(nodeTable(named, NOW, undefined), /REGION +PROFILE +NAME/);
});

test('no nodes are said to be none', () => assert.equal(nodeTable([], NOW, 80), 'No nodes.\n'));
