/**
 * Splits a command line into words and options by the options table, without yargs: this is all that a
 * `connect` started by ssh has to load. It accepts `--name value`, `--name=value`, switches, `--name` where a value is optional, and `--`, and gives up
 * (undefined) on anything else; yargs then decides, and words the complaint. A test holds the two to the same answer.
 */
import type { OptionSpec } from './options.ts';

/** Option texts as given, in order, by name; a switch that is on has the text 'true'. */
export type OptionTexts = ReadonlyMap<string, readonly string[]>;

export interface Tokens {
  readonly words: readonly string[];
  readonly options: OptionTexts;
}

export function tokenize(argv: readonly string[], specs: readonly OptionSpec[]): Tokens | undefined {
  const words: string[] = [];
  const options = new Map<string, string[]>();
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? '';
    if (argument === '--') {
      words.push(...argv.slice(index + 1));
      break;
    }
    if (!argument.startsWith('-')) {
      words.push(argument);
      continue;
    }
    const equals = argument.indexOf('=');
    const name = argument.slice(0, equals < 0 ? undefined : equals);
    const spec = specs.find((option) => `--${option.name}` === name);
    if (spec === undefined) return undefined;
    let text: string;
    if (spec.value === undefined) {
      if (equals >= 0) return undefined;
      text = 'true';
    } else if (equals >= 0) {
      text = argument.slice(equals + 1);
    } else if (spec.bare !== undefined) {
      text = spec.bare;
    } else {
      index += 1;
      const next = argv[index];
      if (next === undefined || next.startsWith('-')) return undefined;
      text = next;
    }
    if (text === '') return undefined;
    const texts = options.get(spec.name);
    if (texts === undefined) options.set(spec.name, [text]);
    else texts.push(text);
  }
  return { words, options };
}
