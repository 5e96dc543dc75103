/**
 * `npm run many`: many `connect`s started in the same moment, against an emulated account that allows a few
 * StartSession per second.
 *
 *   npm run many -- --count 200 --rate 3
 *
 * The last line is a JSON object with what was seen.
 */
import { startEmulator } from '../src/emulator/server.ts';
import { connectMany } from '../test/support/many.ts';
import type { OneOfMany } from '../test/support/many.ts';
import { numberOption, readOptions } from './measure/options.ts';

const NODES = 200;

/** Returns the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  const options = readOptions('many', args, ['count', 'rate', 'start-rate']);
  const count = numberOption(options, 'count', 200);
  const perSecond = numberOption(options, 'rate', 3);
  const startRate = numberOption(options, 'start-rate', 3);
  const emulator = await startEmulator({ nodes: Math.min(NODES, count) });
  try {
    emulator.controls.changeFaults({ api: { throttles: { 'ssm:StartSession': { perSecond, burst: 3 } } } });
    const { all, calls, meanDisplacement } = await connectMany(emulator, {
      count,
      args: ['--start-rate', String(startRate)],
    });
    for (const one of all.filter((each) => !isIn(each))) process.stdout.write(one.stderr);
    const starts = calls['ssm:StartSession'];
    const result = {
      count,
      gotIn: all.filter(isIn).length,
      seconds: seconds(Math.max(...all.map(({ bannerMs = Infinity }) => bannerMs))),
      leastPossibleSeconds: Math.round((count - 3) / perSecond),
      startedWithinSeconds: seconds(Math.max(...all.map(({ startedMs }) => startedMs))),
      startSessionCalls: starts?.calls ?? 0,
      throttledCalls: starts?.throttled ?? 0,
      describeInstancesCalls: calls['ec2:DescribeInstances']?.calls ?? 0,
      meanDisplacement: Math.round(meanDisplacement * 10) / 10,
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return result.gotIn === count ? 0 : 1;
  } finally {
    await emulator.close();
  }
}

function isIn({ status, banner }: OneOfMany): boolean {
  return status === 0 && banner.startsWith('SSH-2.0-');
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
