/**
 * What a shell can offer after the words typed so far, made from the same tables as --help. The scripts (bash.ts,
 * zsh.ts, fish.ts) only say it in their shell's language, so a new command or option needs nothing here.
 *
 * The tables' own notation is read: in a usage, `<target>` is a target, `<a|b>` a choice of words, a bare word itself, `..`
 * repeats, and what follows `--` is somebody else's; in an option's value, PATH is a file and lower-case words between bars are a choice.
 */
import { LOG_LEVELS } from '../../log.ts';
import { COMMAND_HELP } from '../help.ts';
import { COMMANDS, optionsOf } from '../options.ts';
import type { CommandName, OptionSpec } from '../options.ts';

/** What can stand in one place. `none`: nothing that we know. */
export type Offer =
  | { readonly kind: 'targets' | 'profiles' | 'files' | 'none' }
  | { readonly kind: 'words'; readonly words: readonly string[] };

export interface OptionOffer {
  readonly name: string;
  readonly help: string;
  readonly isRepeatable: boolean;
  /** Undefined for a switch. */
  readonly value: Offer | undefined;
  /** What stands for the value in help texts; empty for a switch. */
  readonly valueName: string;
}

export interface CommandOffer {
  readonly name: CommandName;
  readonly summary: string;
  readonly options: readonly OptionOffer[];
  /** Words after the command, in order. */
  readonly words: readonly Offer[];
  /** Whether the last of `words` may come any number of times. */
  readonly hasMore: boolean;
}

const NONE: Offer = { kind: 'none' };

/** Shells that there is a script for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function commandOffers(): readonly CommandOffer[] {
  return COMMANDS.map((name) => ({
    name,
    summary: COMMAND_HELP[name].summary,
    options: [...optionsOf(name).map(optionOffer), HELP],
    ...wordOffers(COMMAND_HELP[name].usage),
  }));
}

/** Names of options that take a value, in any command: the word that follows one is no command and no target. */
export function valuedOptions(commands: readonly CommandOffer[]): readonly string[] {
  const names = commands.flatMap(({ options }) =>
    options.flatMap(({ name, value }) => (value === undefined ? [] : [name])),
  );
  return [...new Set(names)].sort();
}

export const HELP: OptionOffer = {
  name: 'help',
  help: 'examples and all options',
  isRepeatable: false,
  value: undefined,
  valueName: '',
};

function optionOffer(spec: OptionSpec): OptionOffer {
  return {
    name: spec.name,
    help: spec.help,
    isRepeatable: spec.repeatable === true,
    value: spec.value === undefined ? undefined : valueOffer(spec.name, spec.value),
    valueName: spec.value ?? '',
  };
}

function valueOffer(name: string, value: string): Offer {
  if (name === 'profile') return { kind: 'profiles' };
  if (name === 'log-level') return { kind: 'words', words: LOG_LEVELS };
  if (/^(PATH|FILE|DIRECTORY)$/.test(value)) return { kind: 'files' };
  return choice(value);
}

/** `connect <target> [port]`: a target, then something that is not known. */
function wordOffers(usage: string): Pick<CommandOffer, 'words' | 'hasMore'> {
  const [, ...all] = usage.split(' ');
  const places = all.slice(0, all.includes('--') ? all.indexOf('--') : undefined);
  return { words: places.map(wordOffer), hasMore: places.at(-1)?.includes('..') ?? false };
}

function wordOffer(place: string): Offer {
  const bare = place.replace(/\.\.|[<>[\]]/g, '');
  if (bare === place) return { kind: 'words', words: [bare] };
  // `[user@]<target>` is a target, too.
  if (/^(user@)?(target|destination|name)s?$/.test(bare)) return { kind: 'targets' };
  return choice(bare);
}

/** `safe|off|N`: the words that stand for themselves. */
function choice(text: string): Offer {
  if (!text.includes('|')) return NONE;
  const words = text.split('|').filter((word) => /^[a-z][a-z0-9-]*$/.test(word));
  return words.length === 0 ? NONE : { kind: 'words', words };
}
