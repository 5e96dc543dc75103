/**
 * The fault matrix (test/support/fault-cases.ts) with real sockets and in real time: the library's connect() over the
 * whole emulator. Streams must come out exact. With thousands of seeds it is run in virtual time
 * (test/property/fault-simulation.test.ts, `npm run faults`).
 *
 * FAULT_SEEDS says how many seeds (1 by default), FAULT_FIRST_SEED where they start.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FaultCase } from '../support/fault-bench.ts';
import { runFaultCase } from '../support/fault-bench.ts';
import { GUESSES, LOSSES, MATRIX } from '../support/fault-cases.ts';

const SEEDS = Number(process.env['FAULT_SEEDS'] ?? 1);
const FIRST_SEED = Number(process.env['FAULT_FIRST_SEED'] ?? 1);
/** Cases run at the same time: they mostly wait for timers. */
const CONCURRENCY = 8;
const CASE_TIMEOUT_MS = 40_000;

interface NamedCase extends FaultCase {
  readonly name: string;
}

function matrix(seed: number): NamedCase[] {
  return MATRIX.map(({ name, traffic, rule }) => ({ name, traffic, seed, faults: { rules: [rule] } }));
}

function guesses(seed: number): NamedCase[] {
  return GUESSES.flatMap(({ name, change, agentVersion }) =>
    LOSSES.map((loss) => ({
      name: `${loss.name}: ${name}`,
      traffic: loss.traffic,
      seed,
      faults: { ...change, rules: [loss.rule] },
      ...(agentVersion !== undefined && { agentVersion }),
    })),
  );
}

/** Runs all cases, some at a time; the message of a failure lists every case that failed. */
async function runAll(cases: readonly NamedCase[]): Promise<void> {
  const queue = [...cases];
  const failures: string[] = [];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { name, seed } = next;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`not over within ${CASE_TIMEOUT_MS} ms`)), CASE_TIMEOUT_MS);
      });
      try {
        await Promise.race([runFaultCase(next), late]);
      } catch (error) {
        failures.push(`${name} (seed ${seed}): ${String(error)}`);
      } finally {
        clearTimeout(timer);
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  assert.deepEqual(failures, []);
}

describe('fault matrix', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
    test(`every fault, direction, phase and traffic comes out exact (seed ${seed})`, async () => {
      await runAll(matrix(seed));
    });

    test(`every loss heals whatever the service does around it (seed ${seed})`, async () => {
      await runAll(guesses(seed));
    });
  }
});
