/**
 * One rule about data-channel messages: which ones it means, and what happens to them. Pure data with defaults;
 * `link-faults.ts` applies it, counting per session and rule.
 */
import {
  asArray,
  asBoolean,
  asInteger,
  asNumber,
  asObject,
  asOneOf,
  asString,
  onlyKeys,
  optional,
} from './checked-json.ts';

export const RULE_ACTIONS = [
  'drop',
  'duplicate',
  'delay',
  'reorder',
  'bad-digest',
  'bad-payload',
  'wrong-length',
  'truncate',
  'unknown-message-type',
  'unknown-payload-type',
  'cut',
  'cut-mid-message',
  'close',
  'half-open',
] as const;
export type RuleAction = (typeof RULE_ACTIONS)[number];

export const RULE_DIRECTIONS = ['to-client', 'to-agent'] as const;
export type Direction = (typeof RULE_DIRECTIONS)[number];

/** Of a session: until the HandshakeRequest passed, until the HandshakeComplete passed, after. */
export const SESSION_PHASES = ['before-handshake', 'handshake', 'after-handshake'] as const;
export type SessionPhase = (typeof SESSION_PHASES)[number];

export interface MessageRule {
  readonly action: RuleAction;
  /** Undefined: both directions. */
  readonly direction: Direction | undefined;
  /** Undefined: stream messages and acknowledgements; the service's own messages only when named here. */
  readonly messageType: string | undefined;
  readonly payloadType: number | undefined;
  /** Header sequence number, both bounds included. */
  readonly fromSequence: number;
  readonly toSequence: number;
  /** Only messages of more bytes than this, header included; 0: any. */
  readonly largerThanBytes: number;
  /** Only the first transmission of each sequence number, so that retransmissions get through. */
  readonly firstTransmissionOnly: boolean;
  readonly phase: SessionPhase | undefined;
  /** Matching messages left alone first. */
  readonly skip: number;
  /** Then every Nth of them. */
  readonly every: number;
  /** Instead of `every`: whenever this many more bytes of matching messages have passed. 0: off. */
  readonly everyBytes: number;
  /** Chance of acting, 0 to 1. */
  readonly probability: number;
  /** Times it acts per session; 0: without end. */
  readonly count: number;
  /** Extra copies for 'duplicate'. */
  readonly copies: number;
  /** For 'delay', and how long 'duplicate' copies wait. */
  readonly delayMs: number;
  /** For 'reorder': later messages of the direction that overtake it; it waits at most 1 s for them. */
  readonly behind: number;
  /** For 'close'. */
  readonly closeCode: number;
  readonly closeReason: string;
}

export const DEFAULT_RULE: Omit<MessageRule, 'action'> = {
  direction: undefined,
  messageType: undefined,
  payloadType: undefined,
  fromSequence: 0,
  toSequence: Number.MAX_SAFE_INTEGER,
  largerThanBytes: 0,
  firstTransmissionOnly: false,
  phase: undefined,
  skip: 0,
  every: 1,
  everyBytes: 0,
  probability: 1,
  count: 0,
  copies: 1,
  delayMs: 100,
  behind: 1,
  closeCode: 1000,
  closeReason: 'Bye',
};

const MAX_RULES = 100;
/** Close codes a WebSocket endpoint may send (RFC 6455 7.4.2). */
const CLOSE_CODES = { minimum: 1000, maximum: 4999, forbidden: [1004, 1005, 1006, 1015] };

/** Checks a list of rules from outside. Throws USAGE. */
export function parseRules(value: unknown, path: string): MessageRule[] {
  const list = asArray(value, path);
  if (list.length > MAX_RULES) asInteger(list.length, `${path}.length`, 0, MAX_RULES);
  return list.map((each, index) => parseRule(each, `${path}[${index}]`));
}

function parseRule(value: unknown, path: string): MessageRule {
  const given = asObject(value, path);
  onlyKeys(given, path, ['action', ...Object.keys(DEFAULT_RULE)]);
  const integer = (
    name: 'fromSequence' | 'toSequence' | 'largerThanBytes' | 'skip' | 'everyBytes' | 'count',
  ): number => optional(given[name], `${path}.${name}`, asInteger) ?? DEFAULT_RULE[name];
  const positive = (name: 'every' | 'copies' | 'behind', maximum: number): number =>
    optional(given[name], `${path}.${name}`, (v, p) => asInteger(v, p, 1, maximum)) ?? DEFAULT_RULE[name];
  return {
    action: asOneOf(given['action'], `${path}.action`, RULE_ACTIONS),
    direction: optional(given['direction'], `${path}.direction`, (v, p) => asOneOf(v, p, RULE_DIRECTIONS)),
    messageType: optional(given['messageType'], `${path}.messageType`, asString),
    payloadType: optional(given['payloadType'], `${path}.payloadType`, asInteger),
    fromSequence: integer('fromSequence'),
    toSequence: integer('toSequence'),
    largerThanBytes: integer('largerThanBytes'),
    firstTransmissionOnly:
      optional(given['firstTransmissionOnly'], `${path}.firstTransmissionOnly`, asBoolean) ??
      DEFAULT_RULE.firstTransmissionOnly,
    phase: optional(given['phase'], `${path}.phase`, (v, p) => asOneOf(v, p, SESSION_PHASES)),
    skip: integer('skip'),
    every: positive('every', Number.MAX_SAFE_INTEGER),
    everyBytes: integer('everyBytes'),
    probability:
      optional(given['probability'], `${path}.probability`, (v, p) => asNumber(v, p, 0, 1)) ??
      DEFAULT_RULE.probability,
    count: integer('count'),
    copies: positive('copies', 1000),
    delayMs: optional(given['delayMs'], `${path}.delayMs`, asNumber) ?? DEFAULT_RULE.delayMs,
    behind: positive('behind', 10_000),
    closeCode: optional(given['closeCode'], `${path}.closeCode`, asCloseCode) ?? DEFAULT_RULE.closeCode,
    closeReason: optional(given['closeReason'], `${path}.closeReason`, asString) ?? DEFAULT_RULE.closeReason,
  };
}

/** A close code that may be sent in a close frame. Throws USAGE. */
export function asCloseCode(value: unknown, path: string): number {
  const code = asInteger(value, path, CLOSE_CODES.minimum, CLOSE_CODES.maximum);
  return CLOSE_CODES.forbidden.includes(code) ? asInteger(-1, path, CLOSE_CODES.minimum) : code;
}
