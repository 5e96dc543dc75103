/**
 * `npm run fuzz`: the codec and the channel under random and broken frames, in virtual time.
 *
 *   npm run fuzz -- --count 2000000 --seed 1
 *
 * A failure names the seed that fails alone. The last line is a JSON object with what was seen.
 */
import { fuzz } from '../test/support/channel-fuzzer.ts';
import { loadMessageVectors, vectorBytes } from '../test/support/vectors.ts';
import { numberOption, readOptions } from './measure/options.ts';

const PROGRESS_FRAMES = 250_000;

/** Returns the exit status. */
export function run(args: readonly string[]): number {
  const options = readOptions('fuzz', args, ['count', 'seed']);
  const count = numberOption(options, 'count', 2_000_000);
  const seed = numberOption(options, 'seed', 1);
  const startedAt = performance.now();
  let nextReport = PROGRESS_FRAMES;
  const result = fuzz(count, seed, loadMessageVectors().map(vectorBytes), (frames) => {
    if (frames < nextReport) return;
    nextReport += PROGRESS_FRAMES;
    process.stdout.write(`${frames} frames, ${megabytes(process.memoryUsage().heapUsed)} MB heap\n`);
  });
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const heapMegabytes = megabytes(process.memoryUsage().heapUsed);
  process.stdout.write(`${JSON.stringify({ ...result, seconds, heapMegabytes })}\n`);
  return 0;
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
