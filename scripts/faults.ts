/**
 * `npm run faults`: the fault matrix (test/integration/fault-matrix.test.ts) with as many seeds as you like.
 *
 *   npm run faults -- --seeds 1000 --first 1
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { numberOption, readOptions } from './measure/options.ts';

/** Returns the exit status. Tests are compiled to build/ first. */
export function run(args: readonly string[]): number {
  const options = readOptions('faults', args, ['seeds', 'first']);
  const root = process.cwd();
  const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', root], {
    stdio: 'inherit',
  });
  if (tsc.status !== 0) return tsc.status ?? 1;
  const startedAt = performance.now();
  const test = join(root, 'build', 'test', 'integration', 'fault-matrix.test.js');
  const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', test], {
    stdio: 'inherit',
    env: {
      PATH: process.env['PATH'] ?? '',
      FAULT_SEEDS: String(numberOption(options, 'seeds', 20)),
      FAULT_FIRST_SEED: String(numberOption(options, 'first', 1)),
    },
  });
  process.stdout.write(`${Math.round((performance.now() - startedAt) / 1000)} s\n`);
  return status ?? 1;
}
