/** `ssm-proxy list` and targets named after clusters: the built program, on terminals and on pipes. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { hasPseudoTerminals, startPty } from '../../src/emulator/agent-pty.ts';
import type { Pty } from '../../src/emulator/agent-pty.ts';
import { startCluster } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';
import type { ProgramResult } from '../support/programs.ts';
import { until } from '../support/until.ts';

const HASH = '2ea485ea';
const ids = [
  'i-0000000000000000a',
  'i-0000000000000000b',
  'i-0000000000000000c',
  'i-0000000000000000d',
] as const;
const noTerminals = (await hasPseudoTerminals()) ? false : 'script of util-linux is not installed';

let cluster: Cluster;
before(async () => {
  cluster = await startCluster({ nodes: 1, withSshd: false });
  const { controls } = cluster.emulator;
  const tags = (name: string, isHead: boolean): Record<string, string> => ({
    ...{ 'skypilot-cluster-name': name, 'ray-cluster-name': name },
    ...{ 'skypilot-head-node': isHead ? '1' : '0', team: 'ml' },
  });
  const train = `train-${HASH}`;
  const [head, first, second, lab] = ids;
  await controls.addInstance({
    instanceId: head,
    privateIp: '10.0.2.1',
    name: `sky-${train}-head`,
    tags: tags(train, true),
  });
  for (const [instanceId, privateIp] of [
    [second, '10.0.2.3'],
    [first, '10.0.2.2'],
  ] as const) {
    await controls.addInstance({
      instanceId,
      privateIp,
      name: `sky-${train}-worker`,
      tags: tags(train, false),
    });
  }
  await controls.addInstance({
    instanceId: lab,
    privateIp: '10.0.3.1',
    region: 'eu-west-1',
    name: 'lab',
    tags: tags('lab', true),
  });
  controls.changeInstance(second, { agentOnline: false });
});
after(() => cluster.close());
afterEach(() => cluster.reset());

interface Listed {
  readonly nodes: readonly {
    readonly instanceId: string;
    readonly cluster: string | null;
    readonly number: number | null;
    readonly region: string;
    readonly ssm: { readonly status: string };
  }[];
  readonly errors: readonly unknown[];
}

async function list(...args: readonly string[]): Promise<Listed> {
  const { status, stdout, stderr } = await cluster.cli(['list', '--json', ...args]);
  assert.deepEqual([status, stderr], [0, '']);
  return JSON.parse(stdout.toString()) as Listed;
}

test('nodes come by cluster, workers by number, others last', async () => {
  const { nodes, errors } = await list();
  assert.deepEqual(errors, []);
  assert.deepEqual(
    nodes.map(({ instanceId, cluster: name, number, ssm }) => [instanceId, name, number, ssm.status]),
    [
      [ids[0], `train-${HASH}`, null, 'online'],
      [ids[1], `train-${HASH}`, 1, 'online'],
      [ids[2], `train-${HASH}`, 2, 'lost'],
      [cluster.instanceId('10.0.1.10'), null, null, 'online'],
    ],
  );
});

test('all regions are asked at once, filters choose', async () => {
  const found = async (...args: readonly string[]): Promise<readonly string[]> =>
    (await list(...args)).nodes.map(({ instanceId }) => instanceId);
  assert.deepEqual(await found('--region', 'all', '--tag', 'team=ml'), [ids[3], ids[0], ids[1], ids[2]]);
  assert.deepEqual(await found('--region', 'all', 'lab'), [ids[3]]);
  assert.deepEqual(await found('train', '--online'), [ids[0], ids[1]]);
  assert.deepEqual(await found('10.0.2.2'), [ids[1]]);
  assert.deepEqual(await found('--state', 'stopped'), []);
  const { nodes } = await list('--group-by', 'tag:team', '--tag', 'team=ml');
  assert.deepEqual([...new Set(nodes.map((node) => node.cluster))], ['ml']);
});

test('pages are followed, and agents asked for in bunches', async () => {
  cluster.emulator.controls.changeFaults({ api: { pageItems: 2 } });
  assert.equal((await list()).nodes.length, 4);
});

test('without the right to ask SSM the nodes are shown all the same', async () => {
  const { accessKeyId } = cluster.emulator.credentials;
  cluster.emulator.controls.changeIdentity(accessKeyId, { denied: ['ssm:DescribeInstanceInformation'] });
  try {
    const { nodes } = await list('train');
    assert.deepEqual(
      nodes.map(({ ssm }) => ssm.status),
      ['unknown', 'unknown', 'unknown'],
    );
  } finally {
    cluster.emulator.controls.changeIdentity(accessKeyId, { denied: [] });
  }
});

test('ls is the same, as a table of full width on a pipe', async () => {
  const { status, stdout } = await cluster.cli(['ls']);
  assert.equal(status, 0);
  assert.match(
    stdout.toString(),
    /^ {2}NODE +INSTANCE +PRIVATE IP +STATE +AGENT +VERSION +AGE +REGION +NAME\n/,
  );
  assert.match(stdout.toString(), new RegExp(`^train \\(train-${HASH}\\), 3 nodes$`, 'm'));
});

for (const [args, message] of [
  [['--state', 'asleep'], '--state "asleep" cannot be used'],
  [['--group-by', 'team'], '--group-by "team" cannot be used'],
] as const) {
  test(`list ${args.join(' ')} is refused`, async () => {
    const { status, stderr } = await cluster.cli(['list', ...args]);
    assert.deepEqual([status, stderr.split('\n')[0]], [2, `ssm-proxy: ${message} [USAGE]`]);
  });
}

function shell(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
}

async function onTerminal(
  args: readonly string[],
  cols: number,
  term: string,
): Promise<{ readonly pty: Pty; readonly output: () => string; readonly closed: Promise<number | null> }> {
  const pty = await startPty({
    command: `exec ${shell([...cluster.cliCommand, ...args])}`,
    shell: '/bin/sh',
    size: { cols, rows: 24 },
    cwd: cluster.directory,
    env: { ...cluster.env, TERM: term },
  });
  let output = '';
  pty.stdout.on('data', (data: Buffer) => (output += data.toString()));
  const closed = new Promise<number | null>((resolve) => pty.onClose((status) => resolve(status)));
  return { pty, output: () => output, closed };
}

for (const [cols, headings] of [
  [80, 'NODE INSTANCE PRIVATE IP STATE AGENT AGE REGION'],
  [200, 'NODE INSTANCE PRIVATE IP STATE AGENT VERSION AGE REGION NAME'],
] as const) {
  test(`on a terminal of ${cols} columns no line is broken`, { skip: noTerminals }, async () => {
    const { output, closed } = await onTerminal(['list'], cols, 'xterm');
    assert.equal(await closed, 0);
    const lines = output().split(/\r?\n/);
    const heading = lines.find((line) => line.includes('NODE'));
    assert.equal(heading?.trim().replace(/ +/g, ' '), headings);
    assert.ok(lines.every((line) => line.length <= cols));
    assert.ok(!output().includes('\x1b['), 'no colour, no cursor movement');
  });
}

test(
  '--watch draws over its last picture, shows changes, and leaves the terminal as it was',
  { skip: noTerminals },
  async () => {
    const { pty, output, closed } = await onTerminal(
      ['list', 'train', '--watch', '--interval', '1s'],
      80,
      'xterm',
    );
    try {
      await until('the first picture', () => output().includes('worker2'));
      assert.ok(output().startsWith('\x1b[?1049h\x1b[?25l'));
      await until('the time to a banner', () => /online +\d+\.\d s/.test(output()));
      cluster.emulator.controls.changeInstance(ids[1], { state: 'stopping' });
      await until('the change', () => output().includes('stopping'));
      pty.stdin.write('\x03');
      assert.equal(await closed, 0);
      assert.ok(output().endsWith('\x1b[?25h\x1b[?1049l'));
    } finally {
      pty.kill('SIGKILL');
      cluster.emulator.controls.changeInstance(ids[1], { state: 'running' });
    }
  },
);

test('--watch on a dumb terminal writes one picture after the other', { skip: noTerminals }, async () => {
  const { pty, output, closed } = await onTerminal(['list', '--watch', '--interval', '1s'], 80, 'dumb');
  try {
    await until('two pictures', () => output().split('Ctrl-C').length > 2);
    pty.stdin.write('\x03');
    assert.equal(await closed, 0);
    assert.ok(!output().includes('\x1b['));
  } finally {
    pty.kill('SIGKILL');
  }
});

async function resolved(target: string, env: Record<string, string> = {}): Promise<ProgramResult> {
  return cluster.cli(['resolve', target], { env });
}

for (const [target, instanceId] of [
  ['train', ids[0]],
  ['head.train', ids[0]],
  ['train-worker1', ids[1]],
  ['worker2.train', ids[2]],
] as const) {
  test(`${target} is a target`, async () => {
    const { status, stdout } = await resolved(target);
    assert.equal(status, 0);
    assert.match(stdout.toString(), new RegExp(`^Instance +${instanceId}$`, 'm'));
  });
}

test('a name that only SkyPilot knows is looked up in its files, as long as the address is a node of SkyPilot', async () => {
  const home = join(cluster.directory, 'person');
  const folder = join(home, '.sky', 'generated', 'ssh');
  mkdirSync(folder, { recursive: true });
  const entry = (host: string, address: string): string =>
    `Host ${host}\n  HostName ${address}\n  User ubuntu\n`;
  writeFileSync(join(folder, 'mine'), entry('mine', '10.0.2.1') + entry('gone', '10.0.1.10'));
  const { stdout } = await resolved('mine', { HOME: home });
  assert.match(stdout.toString(), new RegExp(`^Instance +${ids[0]}$`, 'm'));
  const { status, stderr } = await resolved('gone', { HOME: home });
  assert.equal(status, 68);
  assert.match(
    stderr,
    /no instance with the Name tag gone, nor a cluster of that name, in us-east-1 \[TARGET_NOT_FOUND\]/,
  );
  rmSync(home, { recursive: true });
});

test('connect takes the name of a cluster', async () => {
  const { status, stdout } = await cluster.cli(['connect', 'train']);
  assert.deepEqual([status, stdout.toString().slice(0, 4)], [0, 'SSH-']);
  await cluster.checkNothingLeft();
});
