/**
 * The fault matrix: each fault x each direction x each phase x bulk and interactive traffic, and the ways in which the
 * real service may behave around a loss, which nobody outside knows. Streams must come out exact.
 *
 * FAULT_SEEDS says how many seeds (2 by default), FAULT_FIRST_SEED where they start; `npm run faults` runs many.
 * What no client can mend is left out, each with its reason (UNMENDABLE).
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FaultChange } from '../../src/emulator/fault-settings.ts';
import type { Direction, MessageRule, RuleAction, SessionPhase } from '../../src/emulator/message-rule.ts';
import type { FaultCase, Traffic } from '../support/fault-bench.ts';
import { runFaultCase } from '../support/fault-bench.ts';

const SEEDS = Number(process.env['FAULT_SEEDS'] ?? 2);
const FIRST_SEED = Number(process.env['FAULT_FIRST_SEED'] ?? 1);
/** Cases run at the same time: they mostly wait for timers. */
const CONCURRENCY = 8;
const CASE_TIMEOUT_MS = 40_000;

const DIRECTIONS: readonly Direction[] = ['to-client', 'to-agent'];
const PHASES: readonly SessionPhase[] = ['before-handshake', 'handshake', 'after-handshake'];
const TRAFFIC: readonly Traffic[] = ['bulk', 'interactive'];

interface Fault {
  readonly name: string;
  readonly rule: Partial<MessageRule> & { readonly action: RuleAction };
}

const FAULTS: readonly Fault[] = [
  { name: 'drop', rule: { action: 'drop', count: 3 } },
  { name: 'drop one in ten', rule: { action: 'drop', probability: 0.1, count: 8 } },
  { name: 'duplicate', rule: { action: 'duplicate', probability: 0.3, copies: 2 } },
  { name: 'delay', rule: { action: 'delay', probability: 0.1, delayMs: 150, count: 10 } },
  { name: 'reorder', rule: { action: 'reorder', probability: 0.2, behind: 3 } },
  { name: 'bad digest', rule: { action: 'bad-digest', count: 3 } },
  { name: 'bad payload', rule: { action: 'bad-payload', count: 3 } },
  { name: 'wrong length', rule: { action: 'wrong-length', count: 3 } },
  { name: 'truncate', rule: { action: 'truncate', count: 3 } },
  { name: 'unknown message type', rule: { action: 'unknown-message-type', count: 3 } },
  { name: 'unknown payload type', rule: { action: 'unknown-payload-type', count: 1 } },
  { name: 'cut', rule: { action: 'cut', every: 25, count: 3 } },
  { name: 'cut at once', rule: { action: 'cut', count: 1 } },
  { name: 'cut mid-message', rule: { action: 'cut-mid-message', every: 30, count: 2 } },
  { name: 'close 1000', rule: { action: 'close', closeCode: 1000, closeReason: 'Bye', every: 20, count: 3 } },
  { name: 'close 1001', rule: { action: 'close', closeCode: 1001, every: 40, count: 1 } },
  { name: 'close 1011', rule: { action: 'close', closeCode: 1011, every: 10, count: 1 } },
  { name: 'half-open', rule: { action: 'half-open', every: 15, count: 1 } },
];

/** Faults that leave no trace a client could see, and why. */
const UNMENDABLE: readonly { fault: string; direction: Direction; reason: string }[] = [
  { fault: 'bad payload', direction: 'to-agent', reason: 'the agent checks no digest' },
  { fault: 'truncate', direction: 'to-agent', reason: 'the agent checks neither digest nor length' },
  { fault: 'unknown payload type', direction: 'to-agent', reason: 'the agent acknowledges it and drops it' },
  { fault: 'unknown payload type', direction: 'to-client', reason: 'the digest does not cover the header' },
];

/** What the service may do around a loss. Every loss must heal with each. */
const GUESSES: readonly (Pick<FaultCase, 'agentVersion'> & { name: string; change: FaultChange })[] = [
  { name: 'frames of an absent client dropped, agent paused', change: {} },
  {
    name: 'frames kept, agent never paused, tokens usable for a while',
    change: {
      absent: { clientFrames: 'keep', pauseAgent: false, startAgent: false, pauseClient: false },
      open: { tokenSingleUse: false, startPublicationFirst: false },
    },
  },
  {
    name: 'frames dropped, agent not paused, another stream URL',
    change: {
      absent: { pauseAgent: false, startAgent: false },
      resume: { streamUrl: 'other', oldUrl: 'silent', ended: 'empty-token' },
    },
  },
  { name: 'no stream URL on resume', change: { resume: { streamUrl: 'none' } } },
  { name: 'an agent that does not acknowledge duplicates', change: {}, agentVersion: '3.2.1000.0' },
];

interface NamedCase extends FaultCase {
  readonly name: string;
}

function* matrix(seed: number): Generator<NamedCase> {
  for (const { name, rule } of FAULTS) {
    for (const direction of DIRECTIONS) {
      if (UNMENDABLE.some((row) => row.fault === name && row.direction === direction)) continue;
      for (const phase of PHASES) {
        for (const traffic of TRAFFIC) {
          const faults: FaultChange = { rules: [{ ...rule, direction, phase }] };
          yield { name: `${name}, ${direction}, ${phase}, ${traffic}`, traffic, seed, faults };
        }
      }
    }
  }
}

const LOSSES: readonly Fault[] = FAULTS.filter(({ rule }) =>
  ['cut', 'cut-mid-message', 'close', 'half-open'].includes(rule.action),
);

function* guesses(seed: number): Generator<NamedCase> {
  for (const guess of GUESSES) {
    for (const { name, rule } of LOSSES) {
      for (const direction of DIRECTIONS) {
        const faults: FaultChange = {
          ...guess.change,
          rules: [{ ...rule, direction, phase: 'after-handshake' }],
        };
        const { agentVersion } = guess;
        yield {
          name: `${name}, ${direction}: ${guess.name}`,
          traffic: 'bulk',
          seed,
          faults,
          ...(agentVersion !== undefined && { agentVersion }),
        };
      }
    }
  }
}

/** Runs all cases, some at a time; the message of a failure lists every case that failed. */
async function runAll(cases: Iterable<NamedCase>): Promise<void> {
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
