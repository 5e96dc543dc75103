/** Members of SSM requests, checked as the service's model does, with its words for what is wrong. */
import { isObject } from '../checked-json.ts';
import { constraintViolation, Refusal } from './refusal.ts';

export type Input = Readonly<Record<string, unknown>>;

/** `wireName` is the member's name; errors show it in lower camel case. */
export function requiredText(input: Input, wireName: string, maximum: number): string {
  const value = optionalText(input, wireName, maximum);
  if (value === undefined)
    throw constraintViolation(undefined, lowerCamel(wireName), 'Member must not be null');
  return value;
}

export function optionalText(input: Input, wireName: string, maximum: number): string | undefined {
  const value = input[wireName];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw wrongType(wireName);
  if (value.length < 1) {
    throw constraintViolation(
      value,
      lowerCamel(wireName),
      'Member must have length greater than or equal to 1',
    );
  }
  if (value.length > maximum) {
    throw constraintViolation(
      value,
      lowerCamel(wireName),
      `Member must have length less than or equal to ${maximum}`,
    );
  }
  return value;
}

export function optionalCount(
  input: Input,
  wireName: string,
  range: { readonly minimum: number; readonly maximum: number },
): number | undefined {
  const value = input[wireName];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw wrongType(wireName);
  if (value < range.minimum) {
    throw constraintViolation(
      value,
      lowerCamel(wireName),
      `Member must have value greater than or equal to ${range.minimum}`,
    );
  }
  if (value > range.maximum) {
    throw constraintViolation(
      value,
      lowerCamel(wireName),
      `Member must have value less than or equal to ${range.maximum}`,
    );
  }
  return value;
}

/** A map of text to list of text, as session parameters are. */
export function textListMap(input: Input, wireName: string): Record<string, readonly string[]> {
  const value = input[wireName];
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw wrongType(wireName);
  const map: Record<string, readonly string[]> = {};
  for (const [name, list] of Object.entries(value)) map[name] = textList(list, wireName);
  return map;
}

/** Objects of a list, e.g. filters. */
export function objectList(input: Input, wireName: string): readonly Input[] {
  const value = input[wireName];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrongType(wireName);
  return value.map((each: unknown) => {
    if (!isObject(each)) throw wrongType(wireName);
    return each;
  });
}

export function textList(value: unknown, wireName: string): string[] {
  if (!Array.isArray(value)) throw wrongType(wireName);
  return value.map((each: unknown) => {
    if (typeof each !== 'string') throw wrongType(wireName);
    return each;
  });
}

function wrongType(wireName: string): Refusal {
  return new Refusal('SerializationException', `The value of ${wireName} has an unexpected type.`);
}

function lowerCamel(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}
