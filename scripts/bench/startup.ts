/**
 * What a `connect` costs this machine until its WebSocket is open, and until sshd's banner is there: CPU time beside that
 * of a bare node which prints one byte, and memory. The API and the data channel are https and wss. No latency.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cliPath } from '../../test/support/cli.ts';
import { median } from '../measure/resources.ts';
import { startCloud } from './cloud.ts';
import type { Cloud } from './cloud.ts';
import type { BenchGroup, BenchOptions, Figure } from './figure.ts';
import { pairedRatio, spread, takeTurns } from './samples.ts';
import type { Environment, FirstByteCost } from './to-banner.ts';
import { untilFirstByte, untilOpen } from './to-banner.ts';

const ROUNDS = 41;
/** Prints a byte as early as JavaScript runs, and ends with its input. */
const BARE = "require('fs').writeSync(1, 'x'); require('fs').read(0, Buffer.alloc(1), () => {});";

export const startup: BenchGroup = {
  name: 'startup',
  about:
    'CPU time and memory of `connect` until its WebSocket is open, and until the first byte of sshd, over TLS',
  async run(options) {
    const cloud = await startCloud(['--tls']);
    try {
      return await measure(cloud, options);
    } finally {
      await cloud.close();
    }
  },
};

async function measure(cloud: Cloud, { scale }: BenchOptions): Promise<readonly Figure[]> {
  const bare = join(cloud.directory, 'bare.cjs');
  writeFileSync(bare, BARE);
  const connect = [process.execPath, cliPath, 'connect', cloud.host];
  const warm = (): Promise<FirstByteCost> => untilFirstByte(connect, cloud.env);
  const inColdPlace = async <Cost>(run: (env: Environment) => Promise<Cost>): Promise<Cost> => {
    const cache = mkdtempSync(join(cloud.directory, 'cold-'));
    try {
      return await run({ ...cloud.env, XDG_CACHE_HOME: cache, XDG_RUNTIME_DIR: '' });
    } finally {
      rmSync(cache, { recursive: true });
    }
  };
  // Fills the caches.
  await warm();
  const rounds = Math.max(3, Math.round(ROUNDS * scale));
  const series = await takeTurns<Omit<FirstByteCost, 'wallMs'>>(rounds, {
    bare: () => untilFirstByte([process.execPath, bare], cloud.env),
    warmOpen: () => untilOpen(cloud, cloud.env),
    coldOpen: () => inColdPlace((env) => untilOpen(cloud, env)),
    warm,
    cold: () => inColdPlace((env) => untilFirstByte(connect, env)),
  });
  const cpu = (name: string): number[] => (series.get(name) ?? []).map(({ cpuMs }) => cpuMs);
  const memory = (name: string): number[] =>
    (series.get(name) ?? []).map(({ peakMebibytes }) => peakMebibytes);
  const ratio = (name: string, of: string, atMost?: number): Figure => ({
    name: of,
    value: pairedRatio(cpu(name), cpu('bare')),
    unit: 'x',
    ...(atMost !== undefined && { goal: { atMost } }),
    note: `${spread(cpu(name), 'ms')} over ${spread(cpu('bare'), 'ms')}`,
  });
  return [
    ratio('warmOpen', 'CPU to the open WebSocket, code cache and instance known, over a bare node', 4.5),
    ratio('coldOpen', 'CPU to the open WebSocket, nothing cached, over a bare node', 6.5),
    ratio('warm', 'CPU to the first byte, code cache and instance known, over a bare node'),
    ratio('cold', 'CPU to the first byte, nothing cached, over a bare node'),
    {
      name: 'peak RSS',
      value: median(memory('warm')),
      unit: 'MiB',
      goal: { atMost: 60 },
      note: `bare node ${spread(memory('bare'), 'MiB')}; nothing cached ${spread(memory('cold'), 'MiB')}`,
    },
  ];
}
