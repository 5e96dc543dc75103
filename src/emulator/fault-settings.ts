/** Checks fault settings from outside (control interface, tests) and merges them into the ones in force. */
import { ProxyError } from '../errors.ts';
import {
  asArray,
  asBoolean,
  asInteger,
  asNumber,
  asObject,
  asOneOf,
  asString,
  isObject,
  onlyKeys,
  optional,
} from './checked-json.ts';
import type { JsonObject } from './checked-json.ts';
import { DEFAULT_API_FAILURE, DEFAULT_OPEN_OUTCOME, defaultFaults } from './faults.ts';
import type { ApiFailure, Faults, OpenOutcome } from './faults.ts';
import { asCloseCode, parseRules } from './message-rule.ts';
import type { BucketRate } from './token-bucket.ts';

/** Any part of a value; lists are replaced as a whole, their items may leave out what has a default. */
type PartOf<T> = T extends readonly (infer Item)[]
  ? readonly Partial<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]?: PartOf<T[Key]> }
    : T;

export type FaultChange = PartOf<Faults>;

const MAX_LIST = 10_000;

const CHOICES: Readonly<Record<string, readonly string[]>> = {
  'link.blackhole': ['none', 'to-client', 'to-agent', 'both'],
  'absent.clientFrames': ['drop', 'keep'],
  'absent.firstFrames': ['drop', 'keep'],
  'resume.ended': ['error', 'empty-token'],
  'resume.streamUrl': ['same', 'other', 'none'],
  'resume.oldUrl': ['works', 'silent'],
};

type Reader = (value: unknown, path: string) => unknown;
const SPECIAL: Readonly<Record<string, Reader>> = {
  rules: parseRules,
  seed: (value, path) => asInteger(value, path, 0, 2 ** 32 - 1),
  'open.outcomes': parseOpenOutcomes,
  'open.badTokenCloseCode': asCloseCode,
  'api.failures': parseApiFailures,
  'api.throttles': parseThrottles,
};

/** `current` with `change` merged in. Throws USAGE with the path of what is wrong; then nothing has changed. */
export function mergeFaults(current: Faults, change: unknown): Faults {
  // Defaults are the shape: every setting exists there, with a value of its type.
  return merge(
    current as unknown as JsonObject,
    defaultFaults() as unknown as JsonObject,
    change,
    '',
  ) as unknown as Faults;
}

function merge(current: JsonObject, shape: JsonObject, change: unknown, prefix: string): JsonObject {
  const given = asObject(change, prefix === '' ? 'faults' : prefix.slice(0, -1));
  onlyKeys(given, prefix === '' ? 'faults' : prefix.slice(0, -1), Object.keys(shape));
  const merged: Record<string, unknown> = { ...current };
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const path = `${prefix}${key}`;
    merged[key] = readSetting(shape[key], current[key], value, path);
  }
  return merged;
}

function readSetting(shape: unknown, current: unknown, value: unknown, path: string): unknown {
  const special = SPECIAL[path];
  if (special !== undefined) return special(value, path);
  const choices = CHOICES[path];
  if (choices !== undefined) return asOneOf(value, path, choices);
  if (isObject(shape)) return merge(isObject(current) ? current : shape, shape, value, `${path}.`);
  switch (typeof shape) {
    case 'number':
      return asNumber(value, path);
    case 'boolean':
      return asBoolean(value, path);
    case 'string':
      return asString(value, path);
    default:
      throw new ProxyError('INTERNAL', `fault setting ${path} has no reader`);
  }
}

function parseOpenOutcomes(value: unknown, path: string): OpenOutcome[] {
  return boundedList(value, path).map((each, index) => {
    const at = `${path}[${index}]`;
    const given = asObject(each, at);
    onlyKeys(given, at, Object.keys(DEFAULT_OPEN_OUTCOME));
    return {
      kind: asOneOf(given['kind'], `${at}.kind`, [
        'normal',
        'hang',
        'status',
        'reset',
        'bad-token',
        'ignore',
      ]),
      status:
        optional(given['status'], `${at}.status`, (v, p) => asInteger(v, p, 400, 599)) ??
        DEFAULT_OPEN_OUTCOME.status,
      delayMs: optional(given['delayMs'], `${at}.delayMs`, asNumber) ?? DEFAULT_OPEN_OUTCOME.delayMs,
    };
  });
}

function parseApiFailures(value: unknown, path: string): ApiFailure[] {
  return boundedList(value, path).map((each, index) => {
    const at = `${path}[${index}]`;
    const given = asObject(each, at);
    onlyKeys(given, at, Object.keys(DEFAULT_API_FAILURE));
    const string = (name: 'operation' | 'code' | 'message' | 'target'): string =>
      optional(given[name], `${at}.${name}`, asString) ?? DEFAULT_API_FAILURE[name];
    const code = string('code');
    return {
      operation: string('operation'),
      kind:
        optional(given['kind'], `${at}.kind`, (v, p) => asOneOf(v, p, ['error', 'hang', 'reset'])) ?? 'error',
      code,
      message:
        optional(given['message'], `${at}.message`, asString) ??
        KNOWN_MESSAGES[code] ??
        DEFAULT_API_FAILURE.message,
      status:
        optional(given['status'], `${at}.status`, (v, p) => asInteger(v, p, 400, 599)) ?? statusOf(code),
      times: optional(given['times'], `${at}.times`, asInteger) ?? DEFAULT_API_FAILURE.times,
      forMs: optional(given['forMs'], `${at}.forMs`, asNumber) ?? DEFAULT_API_FAILURE.forMs,
      target: string('target'),
    };
  });
}

/** AWS's own words, where the code has fixed ones. '{target}' stands for the instance of the call. */
const KNOWN_MESSAGES: Readonly<Record<string, string>> = {
  TargetNotConnected: '{target} is not connected.',
  ThrottlingException: 'Rate exceeded',
  RequestLimitExceeded: 'Request limit exceeded.',
  DoesNotExistException: 'Session does not exist.',
  ExpiredTokenException: 'The security token included in the request is expired',
  AccessDeniedException: 'User is not authorized to perform this operation.',
  ServiceUnavailable: 'Service Unavailable',
};

/** HTTP status that goes with an error code when none is given. */
function statusOf(code: string): number {
  if (code === 'InternalServerError' || code === 'InternalFailure' || code === 'InternalError') return 500;
  if (code === 'ServiceUnavailable' || code === 'Unavailable' || code === 'RequestLimitExceeded') return 503;
  return 400;
}

function parseThrottles(value: unknown, path: string): Record<string, BucketRate> {
  const table: Record<string, BucketRate> = {};
  for (const [operation, each] of Object.entries(asObject(value, path))) {
    const at = `${path}.${operation}`;
    const given = asObject(each, at);
    onlyKeys(given, at, ['perSecond', 'burst']);
    const perSecond = asNumber(given['perSecond'], `${at}.perSecond`, 0.001);
    table[operation] = {
      perSecond,
      burst: optional(given['burst'], `${at}.burst`, (v, p) => asNumber(v, p, 1)) ?? Math.max(1, perSecond),
    };
  }
  return table;
}

function boundedList(value: unknown, path: string): readonly unknown[] {
  const list = asArray(value, path);
  asInteger(list.length, `${path}.length`, 0, MAX_LIST);
  return list;
}
