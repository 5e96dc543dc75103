/**
 * What the keeper of shared sessions takes: memory per further connection and per further node, as the slope between the
 * fewest and the most, and CPU time per connection. Memory is the proportional set.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { KeeperStatus } from '../../src/cli/status-table.ts';
import { cliPath } from '../../test/support/cli.ts';
import type { Cloud, Node } from './cloud.ts';
import { startCloud } from './cloud.ts';
import { Connected } from './connected.ts';
import { startGreeter } from './far-end.ts';
import type { Figure } from './figure.ts';
import { costOf, cpuMsOf, memoryOf } from './process-cost.ts';

const STREAMS = [1, 10, 25, 50];
const NODES = [1, 5, 10, 20];
const IN_A_ROW = 50;
const SHARED = { args: ['--share'] };
/** The keeper has done what a new session brings with it. Milliseconds. */
const REST_MS = 500;

interface Keeper {
  readonly pid: number;
  readonly sessions: number;
}

/** Without latency, over TLS. */
export async function keeperFigures(scale: number): Promise<readonly Figure[]> {
  const cloud = await startCloud(['--tls', '--nodes', '1']);
  const far = await startGreeter();
  try {
    const nodes: Node[] = [];
    for (let number = 0; number < 1 + Math.max(...NODES); number += 1) {
      nodes.push(await cloud.addNode({ '22': far.address }));
    }
    const [first, ...others] = nodes;
    if (first === undefined) return [];
    const { pid } = await share(cloud, first);
    return [
      await cpuFigure(cloud, first, pid, Math.max(5, Math.round(IN_A_ROW * scale))),
      await perConnection(cloud, first, pid, atScale(STREAMS, scale)),
      await perNode(cloud, others, pid, atScale(NODES, scale)),
    ];
  } finally {
    await costOf([process.execPath, cliPath, 'stop'], cloud.env).catch(() => {});
    far.close();
    await cloud.close();
  }
}

/** At least the first two. */
function atScale(counts: readonly number[], scale: number): readonly number[] {
  return counts.filter((count, index) => index < 2 || count <= Math.max(...counts) * scale);
}

/** A first connection to a node has a session of its own and makes the keeper begin one: resolves when that is up. */
async function share(cloud: Cloud, { privateIp }: Node): Promise<Keeper> {
  const before = (await keeperOf(cloud))?.sessions ?? 0;
  const connected = new Connected(cloud, privateIp, SHARED);
  try {
    await connected.isIn;
    for (;;) {
      const keeper = await keeperOf(cloud);
      if (keeper !== undefined && keeper.sessions > before) return keeper;
      await delay(REST_MS);
    }
  } finally {
    await connected.close();
  }
}

async function keeperOf({ env }: Cloud): Promise<Keeper | undefined> {
  const command = ['bash', '-c', '"$@" || true', 'bash', process.execPath, cliPath, 'status', '--json'];
  const { stdout } = await costOf(command, env);
  const { keeper } = JSON.parse(stdout) as { readonly keeper: KeeperStatus | null };
  if (keeper === null) return undefined;
  return { pid: keeper.pid, sessions: keeper.nodes.reduce((sum, { sessions }) => sum + sessions.length, 0) };
}

async function cpuFigure(cloud: Cloud, { privateIp }: Node, pid: number, count: number): Promise<Figure> {
  const before = cpuMsOf(pid);
  for (let number = 0; number < count; number += 1) {
    const connected = new Connected(cloud, privateIp, SHARED);
    await connected.isIn;
    await connected.close();
  }
  return { name: 'CPU of the keeper per connection', value: (cpuMsOf(pid) - before) / count, unit: 'ms' };
}

async function perConnection(
  cloud: Cloud,
  { privateIp }: Node,
  pid: number,
  counts: readonly number[],
): Promise<Figure> {
  const all: Connected[] = [];
  try {
    return await slope(
      'memory of the keeper per further connection',
      'connections',
      pid,
      counts,
      async (count) => {
        while (all.length < count) {
          const connected = new Connected(cloud, privateIp, SHARED);
          all.push(connected);
          await connected.isIn;
        }
      },
    );
  } finally {
    await Promise.all(all.map((each) => each.close()));
  }
}

function perNode(
  cloud: Cloud,
  nodes: readonly Node[],
  pid: number,
  counts: readonly number[],
): Promise<Figure> {
  let shared = 0;
  return slope('memory of the keeper per further node', 'further nodes', pid, counts, async (count) => {
    for (const node of nodes.slice(shared, count)) await share(cloud, node);
    shared = count;
  });
}

/** KiB of proportional memory for each one more. */
async function slope(
  name: string,
  of: string,
  pid: number,
  counts: readonly number[],
  grow: (count: number) => Promise<void>,
): Promise<Figure> {
  const points: { readonly count: number; readonly mebibytes: number }[] = [];
  for (const count of counts) {
    await grow(count);
    await delay(REST_MS);
    points.push({ count, mebibytes: memoryOf(pid).pssMebibytes });
  }
  const [from, to] = [points[0], points[points.length - 1]];
  if (from === undefined || to === undefined) throw new Error('nothing was measured');
  return {
    name,
    value: ((to.mebibytes - from.mebibytes) * 1024) / (to.count - from.count),
    unit: 'KiB',
    note:
      points.map(({ count, mebibytes }) => `${mebibytes.toFixed(1)} MiB with ${count}`).join(', ') + ` ${of}`,
  };
}
