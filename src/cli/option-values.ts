/**
 * From the text of an option to its value. An option that is given wins over its SSM_PROXY_* variable (an empty
 * variable counts as unset), and that over the user's config file; what AWS's own variables say is left to src/aws.
 * Everything here fails with USAGE, or with CONFIG_INVALID for a value of the config file.
 */
import { ProxyError } from '../errors.ts';
import { LOG_LEVELS } from '../log.ts';
import type { LogLevel } from '../log.ts';
import type { CommandName, OptionName, OptionSpec } from './options.ts';
import { optionsOf } from './options.ts';
import type { OptionTexts } from './tokens.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** How fast `connect` uploads: `safe` stays below what the service allows, `rate` is in messages of 1 KiB. */
export type Pace =
  { kind: 'safe' } | { kind: 'auto' } | { kind: 'off' } | { kind: 'rate'; messagesPerSecond: number };

/** What the config file says for an option. */
export interface ConfiguredValue {
  /** One, unless the option may be repeated. */
  readonly texts: readonly string[];
  /** `<file>:<line>`. */
  readonly source: string;
}

/** By option name. */
export type ConfiguredValues = ReadonlyMap<string, ConfiguredValue>;

/** Who decided the value of an option. */
export type OptionOrigin =
  | { readonly kind: 'option' | 'environment' | 'file'; readonly source: string }
  | { readonly kind: 'default' };

/** A value with the name to blame when it cannot be used. */
interface Given {
  readonly text: string;
  readonly source: string;
  readonly kind: 'option' | 'environment' | 'file';
}

/** Longest duration: a day. Longer ones are slips of the keyboard. */
const MAX_DURATION_MS = 86_400_000;
const MAX_RATE = 1_000;
const MAX_MESSAGES_PER_SECOND = 1_000_000;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Reads the options of one command. Each method throws USAGE or CONFIG_INVALID when the text cannot be used. */
export class OptionReader {
  readonly #specs: readonly OptionSpec[];
  readonly #texts: OptionTexts;
  readonly #env: Environment;
  readonly #configured: ConfiguredValues | undefined;

  /** `configured`: what the config file says for the command's target. */
  constructor(command: CommandName, texts: OptionTexts, env: Environment, configured?: ConfiguredValues) {
    this.#specs = optionsOf(command);
    this.#texts = texts;
    this.#env = env;
    this.#configured = configured;
  }

  /** Who decides the value. */
  origin(name: OptionName): OptionOrigin {
    const [given] = this.#all(name);
    return given === undefined ? { kind: 'default' } : { kind: given.kind, source: given.source };
  }

  /** The text as it is; the last one wins. */
  text(name: OptionName): string | undefined {
    return this.#last(name)?.text;
  }

  /** All texts of an option that may be repeated. */
  texts(name: OptionName): readonly string[] {
    return this.#all(name).map(({ text }) => text);
  }

  /** Comma-separated words, without empty ones; undefined when there are none. */
  list(name: OptionName): readonly string[] | undefined {
    const words = splitList(this.#last(name)?.text ?? '');
    return words.length === 0 ? undefined : words;
  }

  switch(name: OptionName): boolean {
    const given = this.#last(name);
    if (given === undefined) return false;
    const text = given.text.toLowerCase();
    if (['1', 'true', 'yes', 'on'].includes(text)) return true;
    if (['0', 'false', 'no', 'off'].includes(text)) return false;
    throw unusable(given, 'true or false');
  }

  /** `key=value` texts in the order given. Values may contain `=`. */
  pairs(name: OptionName): readonly (readonly [key: string, value: string])[] {
    return this.#all(name).map((given) => {
      const equals = given.text.indexOf('=');
      if (equals < 1) throw unusable(given, 'KEY=VALUE');
      return [given.text.slice(0, equals), given.text.slice(equals + 1)];
    });
  }

  /** `key=value` texts where a key may come several times. */
  valuesByKey(name: OptionName): Readonly<Record<string, readonly string[]>> {
    const values = new Map<string, string[]>();
    for (const [key, value] of this.pairs(name)) values.set(key, [...(values.get(key) ?? []), value]);
    return Object.fromEntries(values);
  }

  /** Milliseconds: `30` and `30s` are seconds, `500ms`, `2m` and `1h` are what they say. */
  durationMs<Default extends number | undefined>(name: OptionName, defaultMs: Default): number | Default {
    const given = this.#last(name);
    if (given === undefined) return defaultMs;
    const [, amount, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)?$/.exec(given.text) ?? [];
    const durationMs = Math.round(Number(amount) * (UNIT_MS[unit ?? 's'] ?? NaN));
    if (!(durationMs >= 1 && durationMs <= MAX_DURATION_MS)) {
      throw unusable(given, 'a time above 0 and up to 24h, such as 30, 30s or 2m');
    }
    return durationMs;
  }

  /** A number per second, 0 to 1000, with up to two decimals. */
  rate(name: OptionName, defaultRate: number): number {
    const given = this.#last(name);
    if (given === undefined) return defaultRate;
    const rate = /^\d{1,4}(?:\.\d{1,2})?$/.test(given.text) ? Number(given.text) : NaN;
    if (!(rate <= MAX_RATE))
      throw unusable(given, `a number per second up to ${MAX_RATE}, such as 3, or 0 for off`);
    return rate;
  }

  pace(name: OptionName): Pace {
    const given = this.#last(name);
    if (given === undefined || given.text === 'safe') return { kind: 'safe' };
    if (given.text === 'off') return { kind: 'off' };
    if (given.text === 'auto') return { kind: 'auto' };
    const messagesPerSecond = wholeNumber(given.text, 1, MAX_MESSAGES_PER_SECOND);
    if (messagesPerSecond === undefined)
      throw unusable(given, 'safe, auto, off or a number of messages per second');
    return { kind: 'rate', messagesPerSecond };
  }

  logLevel(name: OptionName): LogLevel | undefined {
    const given = this.#last(name);
    if (given === undefined) return undefined;
    const level = LOG_LEVELS.find((known) => known === given.text);
    if (level === undefined) throw unusable(given, `one of ${LOG_LEVELS.join(', ')}`);
    return level;
  }

  /** A whole number within the bounds, both included. */
  number(name: OptionName, lowest: number, highest: number): number | undefined {
    const given = this.#last(name);
    if (given === undefined) return undefined;
    const value = wholeNumber(given.text, lowest, highest);
    if (value === undefined) throw unusable(given, `a whole number from ${lowest} to ${highest}`);
    return value;
  }

  #last(name: OptionName): Given | undefined {
    const flag = this.#texts.get(name)?.at(-1);
    if (flag !== undefined) return { text: flag, source: `--${name}`, kind: 'option' };
    return this.#fromEnvironment(name) ?? this.#fromFile(name).at(-1);
  }

  #all(name: OptionName): readonly Given[] {
    const flags = this.#texts.get(name);
    if (flags !== undefined) return flags.map((text) => ({ text, source: `--${name}`, kind: 'option' }));
    const variable = this.#fromEnvironment(name);
    if (variable === undefined) return this.#fromFile(name);
    return splitList(variable.text).map((text) => ({ ...variable, text }));
  }

  #fromEnvironment(name: OptionName): Given | undefined {
    const variable = this.#specs.find((spec) => spec.name === name)?.env;
    const text = variable === undefined ? undefined : this.#env[variable];
    return variable === undefined || text === undefined || text === ''
      ? undefined
      : { text, source: variable, kind: 'environment' };
  }

  #fromFile(name: OptionName): readonly Given[] {
    const configured = this.#configured?.get(name);
    if (configured === undefined || !this.#specs.some((spec) => spec.name === name)) return [];
    return configured.texts.map((text) => ({ text, source: configured.source, kind: 'file' }));
  }
}

/** A whole number in plain decimal digits within the bounds; undefined for anything else. */
export function wholeNumber(text: string, lowest: number, highest: number): number | undefined {
  if (!/^(0|[1-9]\d{0,8})$/.test(text)) return undefined;
  const value = Number(text);
  return value >= lowest && value <= highest ? value : undefined;
}

function splitList(text: string): readonly string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

function unusable({ text, source, kind }: Given, wanted: string): ProxyError {
  const code = kind === 'file' ? 'CONFIG_INVALID' : 'USAGE';
  return new ProxyError(code, `${source} ${JSON.stringify(text)} cannot be used`, {
    hint: `give ${wanted}`,
  });
}
