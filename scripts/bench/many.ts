/**
 * Many `connect`s at once, each a process: what one of them takes of this machine while it is idle and while it carries
 * data. Memory is the proportional set: what processes share counts once for all of them. Over TLS.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cloud, Node } from './cloud.ts';
import { startCloud } from './cloud.ts';
import { Connected } from './connected.ts';
import { startGreeter, startSource } from './far-end.ts';
import type { BenchGroup, Figure } from './figure.ts';
import { memoryOf } from './process-cost.ts';

const IDLE = 100;
const BULK = 20;
/** Milliseconds. */
const IDLE_MS = 30_000;
const BULK_MS = 15_000;
/** From the start of the transfers to full speed. Milliseconds. */
const WARM_UP_MS = 1_000;

export const many: BenchGroup = {
  name: 'many',
  about: 'CPU time and memory per `connect` of many at once, over TLS',
  async run({ scale }) {
    const cloud = await startCloud(['--tls', '--nodes', '1']);
    const [listener, source] = [await startGreeter(), await startSource()];
    try {
      const [idle, bulk] = [Math.max(5, Math.round(IDLE * scale)), Math.max(3, Math.round(BULK * scale))];
      const [quiet, busy] = [
        await cloud.addNode({ '22': listener.address }),
        await cloud.addNode({ '22': source.address }),
      ];
      return [
        ...(await idleFigures(cloud, quiet, idle, IDLE_MS * scale)),
        await bulkFigure(cloud, quiet, 'up', bulk, BULK_MS * scale, () => listener.receivedBytes),
        await bulkFigure(cloud, busy, 'down', bulk, BULK_MS * scale),
      ];
    } finally {
      listener.close();
      source.close();
      await cloud.close();
    }
  },
};

export interface Crowd {
  readonly all: readonly Connected[];
  /** From the start of the first to the far end's greeting of the last. */
  readonly wallMs: number;
  /** Of all, until then. */
  readonly cpuMs: number;
}

/** Starts them in the same moment and waits until all are in. Throws when one does not get in; then none is left. */
export async function connectCrowd(
  cloud: Cloud,
  { privateIp }: Node,
  count: number,
  options: ConstructorParameters<typeof Connected>[2] = {},
): Promise<Crowd> {
  const startedAt = performance.now();
  const all = Array.from({ length: count }, () => new Connected(cloud, privateIp, options));
  try {
    await Promise.all(all.map(({ isIn }) => isIn));
  } catch (error) {
    await disperse(all);
    throw error;
  }
  const wallMs = performance.now() - startedAt;
  return { all, wallMs, cpuMs: cpuOf(all) };
}

export async function disperse(all: readonly Connected[]): Promise<void> {
  await Promise.all(all.map((each) => each.close()));
}

export function memoryOfCrowd(all: readonly Connected[]): { readonly pss: number; readonly note: string } {
  const { pssMebibytes, rssMebibytes } = memoryOf(...all.map(({ pid }) => pid));
  const [pss, rss] = [pssMebibytes / all.length, rssMebibytes / all.length];
  return { pss, note: `RSS ${rss.toFixed(1)} MiB` };
}

function cpuOf(all: readonly Connected[]): number {
  return all.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

async function idleFigures(
  cloud: Cloud,
  node: Node,
  count: number,
  restMs: number,
): Promise<readonly Figure[]> {
  const { all, wallMs, cpuMs } = await connectCrowd(cloud, node, count);
  try {
    // What follows a start, such as the code cache, is not idle yet.
    await delay(WARM_UP_MS);
    const before = cpuOf(all);
    await delay(restMs);
    const idleMs = cpuOf(all) - before;
    const { pss, note } = memoryOfCrowd(all);
    return [
      { name: `${count} idle, memory of each`, value: pss, unit: 'MiB', note },
      {
        name: `${count} started at once, CPU of each until it is in`,
        value: cpuMs / count,
        unit: 'ms',
        note: `the last is in after ${(wallMs / 1000).toFixed(1)} s`,
      },
      {
        name: `${count} idle, CPU of each`,
        value: (idleMs / count / restMs) * 60_000,
        unit: 'ms per minute',
      },
    ];
  } finally {
    await disperse(all);
  }
}

/** `atFarEnd`: bytes that have come there. */
async function bulkFigure(
  cloud: Cloud,
  node: Node,
  direction: 'up' | 'down',
  count: number,
  forMs: number,
  atFarEnd?: () => number,
): Promise<Figure> {
  const sends = direction === 'up' ? 'exec cat /dev/zero' : 'echo';
  const { all } = await connectCrowd(cloud, node, count, { sends });
  try {
    const bytes = atFarEnd ?? (() => all.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0));
    for (const each of all) each.go();
    await delay(WARM_UP_MS);
    const before = { bytes: bytes(), cpuMs: cpuOf(all), at: performance.now() };
    await delay(forMs);
    const seconds = (performance.now() - before.at) / 1000;
    const megabytes = (bytes() - before.bytes) / 1e6;
    const { pss, note } = memoryOfCrowd(all);
    return {
      name: `${count} at once ${direction === 'up' ? 'upload at the safe pace' : 'download at the agent’s pace'}, CPU of each`,
      value: ((cpuOf(all) - before.cpuMs) / count / (1000 * seconds)) * 100,
      unit: '% of a core',
      note: `${(megabytes / seconds / count).toFixed(2)} MB/s each, ${((cpuOf(all) - before.cpuMs) / megabytes).toFixed(1)} ms per MB; ${pss.toFixed(1)} MiB each, ${note}`,
    };
  } finally {
    await disperse(all);
  }
}
