/**
 * Throughput of one ssh connection through the built program, over TLS: `ssh node 'cat >/dev/null'` and back. The clock
 * runs at the receiving end, from the first byte to the last, so that getting in does not count.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cliPath } from '../../test/support/cli.ts';
import { openBareChannel } from './bare-channel.ts';
import { startCloud } from './cloud.ts';
import type { Cloud } from './cloud.ts';
import { startSource } from './far-end.ts';
import type { BenchGroup, BenchOptions, Figure } from './figure.ts';
import { pairedRatio, spread, takeTurns } from './samples.ts';

/** 900 messages of 1024 bytes a second. */
const SAFE_MEGABYTES = (900 * 1024) / 1e6;
const SAFE_SECONDS = 20;
const PACED_ROUNDS = 3;
const BULK_BYTES = 150e6;
const TIME_LIMIT_MS = 120_000;
/** Prints the time of the first byte and that of the end, in ns. */
const CLOCK = 'head -c1 >/dev/null; date +%s%N; cat >/dev/null; date +%s%N';

export const transfer: BenchGroup = {
  name: 'transfer',
  about: 'Throughput of one ssh connection, over TLS',
  async run(options) {
    const cloud = await startCloud(['--tls']);
    try {
      return await measure(cloud, options);
    } finally {
      await cloud.close();
    }
  },
};

interface Case {
  readonly name: string;
  readonly direction: 'up' | 'down';
  readonly pace: string;
  readonly roundTripMs: number;
  readonly bytes: number;
  /** Sleep of the agent after each message: 1 as the real one, 0 to lift its pace. */
  readonly agentPaceMs: number;
  readonly atLeast?: number;
  /** The value is the share of this many MB/s. */
  readonly over?: number;
}

async function measure(cloud: Cloud, { scale }: BenchOptions): Promise<readonly Figure[]> {
  const safeBytes = Math.round(SAFE_MEGABYTES * 1e6 * SAFE_SECONDS * scale);
  const bulkBytes = Math.round(BULK_BYTES * scale);
  const up = { direction: 'up', agentPaceMs: 1 } as const;
  const down = { direction: 'down', pace: 'safe' } as const;
  const cases: Case[] = [
    ...[0, 50, 200].map((roundTripMs) => ({
      ...{ ...up, name: `upload, safe pace, ${roundTripMs} ms, of 900 KiB/s`, pace: 'safe', roundTripMs },
      ...{ bytes: safeBytes, atLeast: 0.98, over: SAFE_MEGABYTES },
    })),
    { ...up, name: 'upload, pace off, 0 ms', pace: 'off', roundTripMs: 0, bytes: bulkBytes, atLeast: 20 },
    { ...up, name: 'upload, pace off, 50 ms', pace: 'off', roundTripMs: 50, bytes: bulkBytes, atLeast: 8 },
    { ...up, name: 'upload, auto, first time', pace: 'auto', roundTripMs: 0, bytes: 2 * bulkBytes },
    { ...up, name: 'upload, auto', pace: 'auto', roundTripMs: 0, bytes: 2 * bulkBytes, atLeast: 40 },
    { ...down, name: 'download, pace lifted', roundTripMs: 0, bytes: bulkBytes, agentPaceMs: 0, atLeast: 60 },
  ];
  const figures: Figure[] = [];
  for (const one of cases) figures.push(await figureOf(cloud, one));
  for (const roundTripMs of [0, 50, 200]) {
    figures.push(await pacedDownload(cloud, roundTripMs, Math.round(safeBytes / 4)));
  }
  return figures;
}

/** Beside the agent's pace as a bare data channel sees it, which acknowledges at once; they take turns. */
async function pacedDownload(cloud: Cloud, roundTripMs: number, bytes: number): Promise<Figure> {
  await cloud.control('PATCH', 'faults', { link: { latencyMs: roundTripMs / 2 } });
  await cloud.control('PATCH', 'behaviour', { paceMs: 1 });
  const source = await startSource();
  try {
    const { instanceId } = await cloud.addNode({ '22': source.address });
    const series = await takeTurns(PACED_ROUNDS, {
      bare: () => bareMegabytesPerSecond(cloud, instanceId, bytes),
      ours: () => megabytesPerSecond(cloud, { direction: 'down', pace: 'safe', bytes }),
    });
    const [ours = [], bare = []] = [series.get('ours'), series.get('bare')];
    return {
      name: `download, agent's pace, ${roundTripMs} ms, over the bare data channel`,
      value: pairedRatio(ours, bare),
      unit: 'x',
      goal: { atLeast: 0.98 },
      note: `${spread(ours, 'MB/s')} over ${spread(bare, 'MB/s')}`,
    };
  } finally {
    source.close();
  }
}

/** From the first byte to the last. */
async function bareMegabytesPerSecond(cloud: Cloud, instanceId: string, bytes: number): Promise<number> {
  const channel = await openBareChannel(cloud, instanceId, 'AWS-StartSSHSession');
  try {
    let startedAt = 0;
    let left = bytes;
    const done = new Promise<number>((resolve) => {
      channel.onData = (payload) => {
        if (startedAt === 0) startedAt = performance.now();
        else left -= payload.length;
        if (left <= 0) resolve(performance.now() - startedAt);
      };
    });
    channel.write('x');
    const ms = await done;
    return (bytes - left) / 1000 / ms;
  } finally {
    channel.close();
  }
}

async function figureOf(cloud: Cloud, one: Case): Promise<Figure> {
  const rateLimit = { messagesPerSecond: one.pace === 'off' ? 0 : 1000 };
  await cloud.control('PATCH', 'faults', { link: { latencyMs: one.roundTripMs / 2 }, rateLimit });
  await cloud.control('PATCH', 'behaviour', { paceMs: one.agentPaceMs });
  const megabytes = await megabytesPerSecond(cloud, one);
  return {
    name: one.name,
    value: one.over === undefined ? megabytes : megabytes / one.over,
    unit: one.over === undefined ? 'MB/s' : 'x',
    ...(one.atLeast !== undefined && { goal: { atLeast: one.atLeast } }),
    note: `${(one.bytes / 1e6).toFixed(1)} MB at ${megabytes.toFixed(2)} MB/s`,
  };
}

async function megabytesPerSecond(
  cloud: Cloud,
  { direction, pace, bytes }: Pick<Case, 'direction' | 'pace' | 'bytes'>,
): Promise<number> {
  const source = `head -c ${bytes} /dev/zero`;
  const ssh = `ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=${join(cloud.directory, 'known_hosts')} -o "ProxyCommand='${process.execPath}' '${cliPath}' connect --pace ${pace} %h %p" -o LogLevel=ERROR -i ${cloud.identityFile} ${cloud.sshUser}@${cloud.host}`;
  const line = direction === 'up' ? `${source} | ${ssh} '${CLOCK}'` : `${ssh} '${source}' | { ${CLOCK}; }`;
  const { stdout } = await promisify(execFile)('bash', ['-o', 'pipefail', '-c', line], {
    env: cloud.env,
    timeout: TIME_LIMIT_MS,
  });
  const [from = NaN, to = NaN] = stdout.trim().split('\n').map(Number);
  return (bytes * 1000) / (to - from);
}
