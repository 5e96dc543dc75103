/**
 * The fault matrix: each fault x each direction x each phase x bulk and interactive traffic, and the ways in which the
 * real service may behave around a loss, which nobody outside knows. What no client can mend is left out, each with
 * its reason (UNMENDABLE).
 */
import type { FaultChange } from '../../src/emulator/fault-settings.ts';
import type { Direction, MessageRule, RuleAction, SessionPhase } from '../../src/emulator/message-rule.ts';

export type Traffic = 'bulk' | 'interactive';
export type Rule = Partial<MessageRule> & { readonly action: RuleAction };

const DIRECTIONS: readonly Direction[] = ['to-client', 'to-agent'];
const PHASES: readonly SessionPhase[] = ['before-handshake', 'handshake', 'after-handshake'];
const TRAFFIC: readonly Traffic[] = ['bulk', 'interactive'];

interface Fault {
  readonly name: string;
  readonly rule: Rule;
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

export interface MatrixCase {
  readonly name: string;
  readonly traffic: Traffic;
  readonly rule: Rule;
}

/** Every fault that can be mended, in every direction, phase and traffic. */
export const MATRIX: readonly MatrixCase[] = FAULTS.flatMap(({ name, rule }) =>
  DIRECTIONS.filter(
    (direction) => !UNMENDABLE.some((row) => row.fault === name && row.direction === direction),
  ).flatMap((direction) =>
    PHASES.flatMap((phase) =>
      TRAFFIC.map((traffic) => ({
        name: `${name}, ${direction}, ${phase}, ${traffic}`,
        traffic,
        rule: { ...rule, direction, phase },
      })),
    ),
  ),
);

/** Those that lose a link in the middle of a bulk transfer. */
export const LOSSES: readonly MatrixCase[] = MATRIX.filter(
  ({ traffic, rule }) =>
    traffic === 'bulk' &&
    rule.phase === 'after-handshake' &&
    ['cut', 'cut-mid-message', 'close', 'half-open'].includes(rule.action),
);

export interface Guess {
  readonly name: string;
  readonly change: FaultChange;
  readonly agentVersion?: string;
}

/** What the service may do around a loss. Every loss must heal with each. */
export const GUESSES: readonly Guess[] = [
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
