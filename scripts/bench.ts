/**
 * `npm run bench`: the figures of docs/performance.md. Everything runs on this machine: the emulator stands for AWS, a
 * delaying path for the distance to it.
 *
 *   npm run bench                          all groups
 *   npm run bench -- startup round-trips   some; a wrong name lists them
 *   npm run bench -- --scale 0.2           fewer rounds, for a first look
 *   npm run bench -- --json FILE           results as JSON, default build/bench.json; other groups in it stay
 *
 * NODE_EXTRA_CA_CERTS is taken out of the environment: Node parses that file at every start, for everyone.
 */
import type { BenchGroup } from './bench/figure.ts';
import { describeMachine, record, table } from './bench/report.ts';
import { awsCli } from './bench/aws-cli.ts';
import { echo } from './bench/echo.ts';
import { forwarding } from './bench/forward.ts';
import { growth } from './bench/growth.ts';
import { keystrokes } from './bench/keystrokes.ts';
import { many } from './bench/many.ts';
import { memory } from './bench/memory.ts';
import { paths } from './bench/paths.ts';
import { sharing } from './bench/sharing.ts';
import { roundTrips } from './bench/round-trips.ts';
import { startup } from './bench/startup.ts';
import { transfer } from './bench/transfer.ts';
import { numberOption, readOptions } from './measure/options.ts';

/** One file of scripts/bench/ each. */
const GROUPS: readonly BenchGroup[] = [
  startup,
  awsCli,
  roundTrips,
  sharing,
  transfer,
  paths,
  keystrokes,
  echo,
  forwarding,
  many,
  growth,
  memory,
];

/** Returns the exit status: a goal that is missed is no failure, a benchmark that cannot run is one. */
export async function run(args: readonly string[]): Promise<number> {
  const options = readOptions('bench', args, ['json', 'scale']);
  const scale = numberOption(options, 'scale', 1);
  const file = options.values['json'] ?? 'build/bench.json';
  const unknown = options.words.find((word) => !GROUPS.some(({ name }) => name === word));
  if (unknown !== undefined) {
    throw new Error(`bench measures ${GROUPS.map(({ name }) => name).join(', ')}; not ${unknown}`);
  }
  const wanted = GROUPS.filter(({ name }) => options.words.length === 0 || options.words.includes(name));
  delete process.env['NODE_EXTRA_CA_CERTS'];
  for (const group of wanted) {
    process.stderr.write(`${group.name} ...\n`);
    const figures = await group.run({ scale });
    record(file, group, figures, scale);
    process.stdout.write(`\n## ${group.name}\n\n${table(group, figures)}`);
  }
  process.stdout.write(`\nNode ${process.version}, ${describeMachine()}; also in ${file}\n`);
  return 0;
}
