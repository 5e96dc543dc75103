/**
 * `npm run reliability`: the figures of docs/reliability.md, through one ssh connection each: real ssh, the built
 * program as ProxyCommand, the emulator in this process, a real sshd. Faults come from the emulator.
 *
 *   npm run reliability                          all measurements
 *   npm run reliability -- up resume             some: up, down-paused, down-lost, renewal, resume, lost
 *   npm run reliability -- --scale 0.1           a tenth of the bytes, as many cuts
 *   npm run reliability -- renewal --renew-after 25   seconds, for about 100 MB on this machine (8 by default)
 *   npm run reliability -- --json figures.json   also as JSON
 */
import { writeFileSync } from 'node:fs';
import { arch, cpus, platform } from 'node:os';
import type { FaultChange } from '../src/emulator/fault-settings.ts';
import { FAR_ENDS, startCluster } from '../test/support/cluster.ts';
import type { Transfer } from '../test/support/long-transfer.ts';
import { IN_FLIGHT_LOST, PAUSED_IN_TIME, cuts, lostInARow, transfer } from '../test/support/long-transfer.ts';
import { numberOption, readOptions } from './measure/options.ts';
import { measureResume } from './measure/resume-time.ts';

type Row = Readonly<Record<string, string | number | boolean | null>>;

const MINUTE_MS = 60_000;

interface Wish {
  readonly scale: number;
  readonly renewAfterSeconds: number;
}

const TRANSFERS: Readonly<Record<string, (wish: Wish) => Omit<Transfer, 'host'>>> = {
  up: ({ scale }) => ({
    direction: 'up',
    megabytes: 200 * scale,
    paceMs: 1,
    faults: cuts('up', 200 * scale, 50),
    timeLimitMs: 10 * MINUTE_MS,
  }),
  'down-paused': ({ scale }) => ({
    direction: 'down',
    megabytes: 64 * scale,
    paceMs: 1,
    faults: { ...PAUSED_IN_TIME, ...cuts('down', 64 * scale, 20) },
    timeLimitMs: 20 * MINUTE_MS,
  }),
  'down-lost': ({ scale }) => ({
    direction: 'down',
    megabytes: 64 * scale,
    paceMs: 1,
    faults: { ...IN_FLIGHT_LOST, ...cuts('down', 64 * scale, 20) },
    timeLimitMs: 20 * MINUTE_MS,
  }),
  renewal: ({ scale, renewAfterSeconds }) => ({
    direction: 'down',
    megabytes: 1000 * scale,
    paceMs: 0,
    connectArguments: `--renew-after ${renewAfterSeconds}s`,
    timeLimitMs: 20 * MINUTE_MS,
  }),
};
/** About 100 MB at the emulator's speed on an idle machine. */
const RENEW_AFTER_SECONDS = 8;
const ROUND_TRIPS_MS = [0, 50, 200];
/** In the middle of a download: does ssh give up, and how long does it take to heal. */
const LOST_MEGABYTES = 4;
const LOSSES: Readonly<Record<string, FaultChange>> = {
  ...Object.fromEntries(
    [100, 400, 800].map((messages) => [`${messages} in a row`, lostInARow(messages, LOST_MEGABYTES / 4)]),
  ),
  'all in flight, round trip 100 ms': {
    ...IN_FLIGHT_LOST,
    ...cuts('down', LOST_MEGABYTES / 2, 1),
    link: { latencyMs: 50 },
    api: { latencyMs: 100 },
    accept: { delayMs: 200 },
  },
};

/** Returns the exit status: 0 only if every hash was right. */
export async function run(args: readonly string[]): Promise<number> {
  const options = readOptions('reliability', args, ['json', 'scale', 'renew-after']);
  const wish = {
    scale: numberOption(options, 'scale', 1),
    renewAfterSeconds: numberOption(options, 'renew-after', RENEW_AFTER_SECONDS),
  };
  const known = [...Object.keys(TRANSFERS), 'resume', 'lost'];
  const unknown = options.words.find((word) => !known.includes(word));
  if (unknown !== undefined) throw new Error(`reliability measures ${known.join(', ')}; not ${unknown}`);
  const results: Record<string, readonly Row[]> = {};
  let isGood = true;
  for (const name of options.words.length === 0 ? known : options.words) {
    const rows = await measure(name, wish);
    // How many messages ssh survives is a question, not a demand.
    if (name in TRANSFERS) isGood &&= rows.every(({ isExact, status }) => isExact === true && status === 0);
    results[name] = rows;
    process.stdout.write(`\n${name}\n${table(rows)}`);
  }
  const file = options.values['json'];
  const machine = `${platform()} ${arch()}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`;
  const report = { date: new Date().toISOString(), node: process.version, machine, results };
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
  process.stdout.write(`\n${report.date.slice(0, 10)}, Node ${report.node}, ${machine}\n`);
  return isGood ? 0 : 1;
}

async function measure(name: string, wish: Wish): Promise<Row[]> {
  if (name === 'resume') return resumeRows();
  const [sshd] = FAR_ENDS;
  if (sshd === undefined || sshd.skip !== false) throw new Error('it needs a real sshd');
  const make = TRANSFERS[name];
  if (make === undefined) return lostRows(sshd.host);
  const wanted = { ...make(wish), host: sshd.host };
  const { isExact, status, stderr, ...figures } = await once(wanted);
  if (stderr !== '') process.stdout.write(`${name}: ssh said: ${stderr}\n`);
  return [{ megabytes: wanted.megabytes, isExact, status, ...figures }];
}

async function once(wanted: Transfer): ReturnType<typeof transfer> {
  const cluster = await startCluster();
  try {
    return await transfer(cluster, wanted);
  } finally {
    await cluster.close();
  }
}

async function lostRows(host: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [loss, faults] of Object.entries(LOSSES)) {
    const timeLimitMs = 10 * MINUTE_MS;
    const wanted: Transfer = {
      direction: 'down',
      megabytes: LOST_MEGABYTES,
      paceMs: 1,
      faults,
      timeLimitMs,
      host,
    };
    const { isExact, status, seconds, longestStallMs, stderr } = await once(wanted);
    rows.push({ loss, isExact, status, seconds, longestStallMs, stderr });
    process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
  }
  return rows;
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
