/**
 * The cases of one seed: the whole matrix, each with a service drawn from what nobody outside knows of the real one,
 * every loss under every guess, and every incident. Delays, sizes and places of the faults are drawn too.
 */
import type { FaultChange } from '../../../src/emulator/fault-settings.ts';
import type { Rule, Traffic } from '../fault-cases.ts';
import { GUESSES, LOSSES, MATRIX } from '../fault-cases.ts';
import type { Random } from '../random.ts';
import { randomInteger, seededRandom } from '../random.ts';
import { INCIDENTS } from './incidents.ts';
import type { SimulatedCase } from './simulate.ts';

/** Newest first: the third acknowledges no duplicates, the last knows neither flags nor most of the rest. */
const AGENT_VERSIONS = ['3.3.2299.0', '3.3.131.0', '3.2.1000.0', '2.3.672.0'];
const TRAFFIC: readonly Traffic[] = ['bulk', 'interactive'];

/** Seeds of cases are apart for each case, so that one can be played again alone. */
const CASES_PER_SEED = 1000;

export function casesOf(seed: number): SimulatedCase[] {
  const cases: SimulatedCase[] = [];
  const add = (
    name: string,
    traffic: Traffic,
    rest: (random: Random) => Partial<SimulatedCase> & { readonly faults: FaultChange },
  ): void => {
    const caseSeed = seed * CASES_PER_SEED + cases.length;
    const random = seededRandom(caseSeed);
    cases.push({ name, traffic, seed: caseSeed, ...drawn(random), ...rest(random) });
  };
  for (const { name, traffic, rule } of MATRIX) {
    add(name, traffic, (random) => ({
      faults: { ...drawService(random), rules: [placed(rule, random)] },
    }));
  }
  for (const guess of GUESSES) {
    for (const { name, traffic, rule } of LOSSES) {
      add(`${name}: ${guess.name}`, traffic, (random) => ({
        faults: { ...guess.change, rules: [placed(rule, random)] },
        ...(guess.agentVersion !== undefined && { agentVersion: guess.agentVersion }),
      }));
    }
  }
  for (const incident of INCIDENTS) {
    for (const traffic of TRAFFIC) {
      add(`${incident.name}, ${traffic}`, traffic, (random) => ({ faults: drawService(random), incident }));
    }
  }
  return cases;
}

function drawn(random: Random): Omit<SimulatedCase, 'name' | 'seed' | 'traffic' | 'faults'> {
  return {
    agentVersion: oneOf(random, AGENT_VERSIONS),
    behaviour: { paceMs: oneOf(random, [1, 1, 2, 5]) },
    messagesPerSecond: oneOf(random, [undefined, 900, 100]),
    bytes: randomInteger(random, 5000, 40_000),
    rounds: randomInteger(random, 5, 20),
    pauseMs: oneOf(random, [0, 0, 1, 10]),
    readDelayMs: oneOf(random, [0, 0, 0, 3]),
    incidentAt: random() * 0.8,
  };
}

/** After the handshake a fault may strike anywhere; before, there are few messages to strike. */
function placed(rule: Rule, random: Random): Rule {
  return rule.phase === 'after-handshake' ? { ...rule, skip: randomInteger(random, 0, 15) } : rule;
}

function drawService(random: Random): FaultChange {
  const isTrue = (): boolean => random() < 0.5;
  return {
    link: { latencyMs: oneOf(random, [0, 0, 2, 25, 100]) },
    absent: {
      clientFrames: oneOf(random, ['drop', 'keep']),
      firstFrames: oneOf(random, ['drop', 'keep']),
      pauseAgent: isTrue(),
      startAgent: isTrue(),
      pauseClient: isTrue(),
    },
    open: { tokenSingleUse: isTrue(), startPublicationFirst: isTrue() },
    resume: {
      ended: oneOf(random, ['error', 'empty-token']),
      streamUrl: oneOf(random, ['same', 'other', 'none']),
      oldUrl: oneOf(random, ['works', 'silent']),
    },
    notices: { shortHeader: isTrue(), nulPadding: isTrue() },
  };
}

function oneOf<T>(random: Random, values: readonly T[]): T {
  return values[randomInteger(random, 0, values.length - 1)] as T;
}
