/**
 * `npm run faults`: the fault matrix in virtual time (test/support/simulation) with as many seeds as you like. A seed is
 * every fault in every direction, phase and traffic, every loss under every guess about the service, and every
 * incident; about a second of one core.
 *
 *   npm run faults -- --seeds 2000 --first 1
 *   npm run faults -- --first 17 --case "half-open, to-client, handshake, bulk"    one case, with its flight record
 *
 * The last line is a JSON object with what was run, and the longest times to heal.
 */
import { casesOf } from '../test/support/simulation/draw.ts';
import { simulate } from '../test/support/simulation/simulate.ts';
import { numberOption, readOptions } from './measure/options.ts';

interface Slow {
  readonly name: string;
  readonly seed: number;
  readonly seconds: number;
}

/** Slowest cases that are told, one per name. */
const SLOWEST = 5;
const MINUTE_MS = 60_000;

/** Returns the exit status: 0 only if every case came out right. */
export async function run(args: readonly string[]): Promise<number> {
  const options = readOptions('faults', args, ['seeds', 'first', 'case']);
  const first = numberOption(options, 'first', 1);
  const name = options.values['case'];
  if (name !== undefined) return playAgain(first, name);
  const seeds = numberOption(options, 'seeds', 20);
  const slowest = new Map<string, Slow>();
  const totals = { cases: 0, failed: 0, resumes: 0, resends: 0, virtualHours: 0 };
  const startedAt = performance.now();
  let toldAt = startedAt;
  for (let seed = first; seed < first + seeds; seed += 1) {
    for (const each of casesOf(seed)) {
      const { failure, ms, resumes, resends } = await simulate(each);
      totals.cases += 1;
      totals.resumes += resumes;
      totals.resends += resends;
      totals.virtualHours += ms / (60 * MINUTE_MS);
      if (ms / 1000 > (slowest.get(each.name)?.seconds ?? 0)) {
        slowest.set(each.name, { name: each.name, seed, seconds: Math.round(ms / 100) / 10 });
      }
      if (failure === undefined) continue;
      totals.failed += 1;
      say(`FAILED: --first ${seed} --case ${JSON.stringify(each.name)}: ${failure}`);
    }
    if (performance.now() - toldAt < MINUTE_MS) continue;
    toldAt = performance.now();
    say(JSON.stringify({ seed, ...totals }));
  }
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const slow = [...slowest.values()].sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST);
  say(JSON.stringify({ first, seeds, ...totals, seconds, slowest: slow }));
  return totals.failed === 0 ? 0 : 1;
}

async function playAgain(seed: number, name: string): Promise<number> {
  const wanted = casesOf(seed).find((each) => each.name === name);
  if (wanted === undefined) throw new Error(`seed ${seed} has no case ${JSON.stringify(name)}`);
  const { record, ...result } = await simulate(wanted, true);
  say(record);
  const { incident, ...drawn } = wanted;
  say(JSON.stringify({ ...drawn, incident: incident?.name }));
  say(JSON.stringify(result));
  return result.failure === undefined ? 0 : 1;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
