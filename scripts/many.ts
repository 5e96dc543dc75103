/**
 * `npm run many`: many `connect`s started in the same moment, against an emulated account that allows a few
 * StartSession per second.
 *
 *   npm run many -- --count 200 --rate 3
 *
 * The last line is a JSON object with what was seen.
 */
import { connectMany } from '../test/support/many.ts';
import type { OneOfMany } from '../test/support/many.ts';
import { numberOption, readOptions } from './measure/options.ts';

/** Returns the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  const { values, words } = readOptions('many', args, ['count', 'rate', 'start-rate', 'connect-timeout']);
  const count = numberOption({ values, words }, 'count', 200);
  const perSecond = numberOption({ values, words }, 'rate', 3);
  const passedOn = ['start-rate', 'connect-timeout'].flatMap((name) => {
    const value = values[name];
    return value === undefined ? [] : [`--${name}`, value];
  });
  const { all, state, meanDisplacement } = await connectMany({ count, perSecond, args: passedOn });
  for (const one of all.filter((each) => !isIn(each))) process.stdout.write(one.stderr);
  const starts = state.calls['ssm:StartSession'];
  const result = {
    count,
    gotIn: all.filter(isIn).length,
    seconds: seconds(Math.max(...all.map(({ bannerMs = NaN }) => bannerMs))),
    leastPossibleSeconds: Math.round((count - 3) / perSecond),
    startedWithinSeconds: seconds(Math.max(...all.map(({ startedMs }) => startedMs))),
    startSessionCalls: starts?.calls ?? 0,
    throttledCalls: starts?.throttled ?? 0,
    describeInstancesCalls: state.calls['ec2:DescribeInstances']?.calls ?? 0,
    meanDisplacement: Math.round(meanDisplacement * 10) / 10,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  return result.gotIn === count ? 0 : 1;
}

function isIn({ status, banner }: OneOfMany): boolean {
  return status === 0 && banner.startsWith('SSH-2.0-');
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
