/**
 * `npm run soak`: sessions of the library one after the other and side by side, for as long as you like, against an
 * emulator in a process of its own that cuts, closes, drops and refuses at random.
 *
 *   npm run soak -- --minutes 60 --seed 1 --every 15
 *
 * Every stream comes back as an echo and is compared by hash. Every few seconds memory after a collection, handles,
 * file descriptors and temporary files are printed; it fails when one of them grows, when a hash differs, and when
 * something is left at the end.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../test/support/random.ts';
import { numberOption, readOptions } from './measure/options.ts';
import { growth, takeSample } from './measure/resources.ts';
import type { ResourceSample } from './measure/resources.ts';
import { runFarEnd } from './soak/far-end.ts';
import type { FarEndFacts, FarEndReport } from './soak/far-end.ts';
import { soakSession } from './soak/session.ts';

const PARALLEL = 3;
const FAR_END_ARGUMENT = 'soak-far-end';
/** Until sockets that are kept for the next call have gone. */
const SETTLE_MS = 20_000;
/** Code is loaded and compiled in the first sessions. */
const WARM_UP = 0.3;

/** Returns the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  const options = readOptions('soak', args, ['minutes', 'seed', 'every']);
  const minutes = numberOption(options, 'minutes', 60);
  const seed = numberOption(options, 'seed', 1);
  const everyMs = numberOption(options, 'every', 15) * 1000;
  const farEnd = fork(fileURLToPath(import.meta.url), [FAR_END_ARGUMENT, String(seed)]);
  try {
    const [facts] = (await once(farEnd, 'message')) as [FarEndFacts];
    const problems = await soak(facts, farEnd, { minutes, seed, everyMs });
    for (const problem of problems) say(`FAILED: ${problem}`);
    return problems.length === 0 ? 0 : 1;
  } finally {
    if (farEnd.connected) farEnd.disconnect();
    if (farEnd.exitCode === null) await once(farEnd, 'exit');
  }
}

interface SoakSettings {
  readonly minutes: number;
  readonly seed: number;
  readonly everyMs: number;
}

async function soak(facts: FarEndFacts, farEnd: ChildProcess, settings: SoakSettings): Promise<string[]> {
  const problems: string[] = [];
  const totals = { sessions: 0, bytes: 0 };
  const before = takeSample();
  const endAt = performance.now() + settings.minutes * 60_000;
  const isOver = (): boolean => performance.now() >= endAt || problems.length > 0;
  const slot = async (number: number): Promise<void> => {
    const random = seededRandom(settings.seed + 1000 * number);
    while (!isOver()) {
      try {
        totals.bytes += await soakSession(facts, random, endAt);
        totals.sessions += 1;
      } catch (error) {
        problems.push(String(error));
      }
    }
  };
  const samples: ResourceSample[] = [];
  const stopped = new AbortController();
  const watch = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await delay(settings.everyMs, undefined, { signal: stopped.signal }).catch(() => {});
      if (stopped.signal.aborted) return;
      const sample = takeSample();
      samples.push(sample);
      const report = await askFarEnd(farEnd);
      say(JSON.stringify({ ...totals, ...sample, ...report }));
    }
  };
  const watching = watch();
  await Promise.all(Array.from({ length: PARALLEL }, (_, number) => slot(number)));
  stopped.abort();
  await watching;
  const after = await settled(before);
  say(JSON.stringify({ at: 'end', ...totals, before, after, ...(await askFarEnd(farEnd)) }));
  problems.push(...growth(samples.slice(Math.floor(samples.length * WARM_UP))));
  if (after.handles > before.handles) problems.push(`${after.handles - before.handles} handles are left`);
  if (after.fileDescriptors > before.fileDescriptors) problems.push('file descriptors are left');
  if (after.temporaryFiles > before.temporaryFiles) problems.push('temporary files are left');
  if (problems.length === 0) say('Every hash was right, nothing grew, nothing is left.');
  return problems;
}

/** Waits until handles are as they were, or the time for it has passed. */
async function settled(before: ResourceSample): Promise<ResourceSample> {
  const endAt = performance.now() + SETTLE_MS;
  for (;;) {
    const now = takeSample();
    const isBack = now.handles <= before.handles && now.fileDescriptors <= before.fileDescriptors;
    if (isBack || performance.now() > endAt) return now;
    await delay(200);
  }
}

async function askFarEnd(farEnd: ChildProcess): Promise<FarEndReport> {
  const answer = once(farEnd, 'message') as Promise<[FarEndReport]>;
  farEnd.send('report');
  return (await answer)[0];
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

if (process.argv[2] === FAR_END_ARGUMENT) await runFarEnd(Number(process.argv[3]));
