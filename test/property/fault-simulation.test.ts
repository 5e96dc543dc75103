/**
 * The fault matrix in virtual time: the real session over the emulator's real service and agent, with seeds. A failure
 * names what to give to `npm run faults` to see it again, with its flight record.
 *
 * FAULT_SEEDS says how many seeds, FAULT_FIRST_SEED where they start; `npm run faults` runs thousands.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { casesOf } from '../support/simulation/draw.ts';
import { simulate } from '../support/simulation/simulate.ts';

const SEEDS = Number(process.env['FAULT_SEEDS'] ?? 10);
const FIRST_SEED = Number(process.env['FAULT_FIRST_SEED'] ?? 1);

describe('fault simulation', () => {
  test('every fault, guess and incident comes out exact, or ends with its reason, whatever the seed', async () => {
    const failures: string[] = [];
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
      for (const each of casesOf(seed)) {
        const { failure } = await simulate(each);
        if (failure !== undefined) failures.push(`--first ${seed} --case "${each.name}": ${failure}`);
      }
    }
    assert.deepEqual(failures, []);
  });

  test('a case of a seed comes out the same, message by message', async () => {
    const [wanted] = casesOf(5).filter(({ name }) => name === 'drop, to-agent, after-handshake, bulk');
    assert.ok(wanted !== undefined);
    const [first, second] = [await simulate(wanted, true), await simulate(wanted, true)];
    assert.equal(first.failure, undefined);
    assert.ok(first.resends > 0, 'the fault struck');
    // Session IDs and cells of URLs are random.
    const withoutIds = (record: string): string => record.replace(/url=\S+/g, '');
    assert.equal(withoutIds(first.record), withoutIds(second.record));
    assert.equal(first.ms, second.ms);
  });
});
