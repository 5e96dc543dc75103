/**
 * Reads typed values out of JSON from outside (control interface, API bodies, test settings).
 *
 * Every function throws USAGE with the path of the offending field; nothing else is thrown.
 */
import { ProxyError } from '../errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asObject(value: unknown, path: string): JsonObject {
  if (!isObject(value)) throw wrong(path, 'an object');
  return value;
}

export function asArray(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(path, 'a list');
  return value;
}

export function asString(value: unknown, path: string): string {
  if (typeof value !== 'string') throw wrong(path, 'a text');
  return value;
}

export function asBoolean(value: unknown, path: string): boolean {
  if (typeof value !== 'boolean') throw wrong(path, 'true or false');
  return value;
}

/** A finite number from `minimum` to `maximum`. */
export function asNumber(
  value: unknown,
  path: string,
  minimum = 0,
  maximum = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < minimum || value > maximum) {
    throw wrong(path, `a number from ${minimum} to ${maximum}`);
  }
  return value;
}

export function asInteger(
  value: unknown,
  path: string,
  minimum = 0,
  maximum = Number.MAX_SAFE_INTEGER,
): number {
  if (!Number.isSafeInteger(value)) throw wrong(path, 'a whole number');
  return asNumber(value, path, minimum, maximum);
}

export function asOneOf<T extends string>(value: unknown, path: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw wrong(path, `one of ${allowed.join(', ')}`);
  return found;
}

export function asStrings(value: unknown, path: string): string[] {
  return asArray(value, path).map((each, index) => asString(each, `${path}[${index}]`));
}

/** An object whose values are all texts. */
export function asStringMap(value: unknown, path: string): Record<string, string> {
  const map: Record<string, string> = {};
  for (const [key, each] of Object.entries(asObject(value, path)))
    map[key] = asString(each, `${path}.${key}`);
  return map;
}

/** Applies `read` unless the value is absent. */
export function optional<T>(
  value: unknown,
  path: string,
  read: (value: unknown, path: string) => T,
): T | undefined {
  return value === undefined ? undefined : read(value, path);
}

/** Refuses keys that nobody reads: a misspelt setting must not pass in silence. */
export function onlyKeys(object: JsonObject, path: string, allowed: readonly string[]): void {
  for (const key of Object.keys(object)) {
    if (!allowed.includes(key)) throw wrong(`${path}.${key}`, `one of the keys ${allowed.join(', ')}`);
  }
}

export function wrong(path: string, expected: string): ProxyError {
  return new ProxyError('USAGE', `emulator setting ${path} must be ${expected}`);
}
