/**
 * `npm run reliability`: the figures of docs/reliability.md, through one ssh connection each: real ssh, the built
 * program as ProxyCommand, the emulator in this process, a real sshd. Faults come from the emulator.
 *
 *   npm run reliability                          all measurements
 *   npm run reliability -- up resume             some: up, down-paused, down-lost, renewal, resume
 *   npm run reliability -- --scale 0.1           a tenth of the bytes, as many cuts
 *   npm run reliability -- --json figures.json   also as JSON
 */
import { writeFileSync } from 'node:fs';
import { arch, cpus, platform } from 'node:os';
import { FAR_ENDS, startCluster } from '../test/support/cluster.ts';
import type { Transfer } from '../test/support/long-transfer.ts';
import { IN_FLIGHT_LOST, PAUSED_IN_TIME, cuts, transfer } from '../test/support/long-transfer.ts';
import { numberOption, readOptions } from './measure/options.ts';
import { measureResume } from './measure/resume-time.ts';

type Row = Readonly<Record<string, string | number | boolean | null>>;

const MINUTE_MS = 60_000;

const TRANSFERS: Readonly<Record<string, (scale: number) => Omit<Transfer, 'host'>>> = {
  up: (scale) => ({
    direction: 'up',
    megabytes: 200 * scale,
    paceMs: 1,
    faults: cuts('up', 200 * scale, 50),
    timeLimitMs: 10 * MINUTE_MS,
  }),
  'down-paused': (scale) => ({
    direction: 'down',
    megabytes: 64 * scale,
    paceMs: 1,
    faults: { ...PAUSED_IN_TIME, ...cuts('down', 64 * scale, 20) },
    timeLimitMs: 20 * MINUTE_MS,
  }),
  'down-lost': (scale) => ({
    direction: 'down',
    megabytes: 64 * scale,
    paceMs: 1,
    faults: { ...IN_FLIGHT_LOST, ...cuts('down', 64 * scale, 20) },
    timeLimitMs: 20 * MINUTE_MS,
  }),
  renewal: (scale) => ({
    direction: 'down',
    megabytes: 1000 * scale,
    paceMs: 0,
    connectArguments: `--renew-after ${RENEW_AFTER_SECONDS}s`,
    timeLimitMs: 20 * MINUTE_MS,
  }),
};
/** About 100 MB at the emulator's speed. */
const RENEW_AFTER_SECONDS = 8;
const ROUND_TRIPS_MS = [0, 50, 200];

/** Returns the exit status: 0 only if every hash was right. */
export async function run(args: readonly string[]): Promise<number> {
  const options = readOptions('reliability', args, ['json', 'scale']);
  const scale = numberOption(options, 'scale', 1);
  const known = [...Object.keys(TRANSFERS), 'resume'];
  const unknown = options.words.find((word) => !known.includes(word));
  if (unknown !== undefined) throw new Error(`reliability measures ${known.join(', ')}; not ${unknown}`);
  const [sshd] = FAR_ENDS;
  const results: Record<string, readonly Row[]> = {};
  let isGood = true;
  for (const name of options.words.length === 0 ? known : options.words) {
    const make = TRANSFERS[name];
    if (make === undefined) {
      results[name] = await resumeRows();
    } else {
      if (sshd === undefined || sshd.skip !== false) throw new Error('it needs a real sshd');
      const wanted = { ...make(scale), host: sshd.host };
      const { isExact, status, stderr, ...figures } = await once(wanted);
      isGood &&= isExact && status === 0;
      results[name] = [{ megabytes: wanted.megabytes, isExact, status, ...figures }];
      if (stderr !== '') process.stdout.write(`${name}: ssh said: ${stderr}\n`);
    }
    process.stdout.write(`\n${name}\n${table(results[name] ?? [])}`);
  }
  const file = options.values['json'];
  const machine = `${platform()} ${arch()}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`;
  const report = { date: new Date().toISOString(), node: process.version, machine, results };
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
  process.stdout.write(`\n${report.date.slice(0, 10)}, Node ${report.node}, ${machine}\n`);
  return isGood ? 0 : 1;
}

async function once(wanted: Transfer): ReturnType<typeof transfer> {
  const cluster = await startCluster();
  try {
    return await transfer(cluster, wanted);
  } finally {
    await cluster.close();
  }
}

async function resumeRows(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [inFlight, service] of Object.entries({ kept: PAUSED_IN_TIME, lost: IN_FLIGHT_LOST })) {
    for (const roundTripMs of ROUND_TRIPS_MS) {
      const row = { inFlight, ...(await measureResume(roundTripMs, service)) };
      rows.push(row);
      process.stderr.write(`${JSON.stringify(row)}\n`);
    }
  }
  return rows;
}

function table(rows: readonly Row[]): string {
  const names = Object.keys(rows[0] ?? {});
  const lines = [names, names.map(() => '---'), ...rows.map((row) => names.map((name) => String(row[name])))];
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}
