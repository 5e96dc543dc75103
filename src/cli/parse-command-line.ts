/**
 * Any command line, by yargs: what the quick way of `connect` does not understand, the other commands, help and
 * complaints. Loaded only for those. yargs splits options from words; what a text means is decided in
 * option-values.ts, for both ways alike.
 */
import yargs from 'yargs';
import type { Argv } from 'yargs';
import { ProxyError } from '../errors.ts';
import { COMMAND_HELP, PROGRAM_SUMMARY } from './help.ts';
import type { CommandName, OptionSpec } from './options.ts';
import { ALIASES, COMMANDS, OPTIONS, optionsOf } from './options.ts';
import type { OptionTexts } from './tokens.ts';

export type Invocation =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version'; readonly json: boolean }
  | {
      readonly kind: 'command';
      readonly command: CommandName;
      /** Those after `--` included. */
      readonly words: readonly string[];
      /** What follows `--`; undefined: there is none. */
      readonly commandWords: readonly string[] | undefined;
      readonly texts: OptionTexts;
    };

/** No guessing: options are what the table says, spelled as there, and texts stay texts. */
const STRICT_PARSING = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'duplicate-arguments-array': true,
  'greedy-arrays': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'populate--': true,
  'short-option-groups': false,
};

/** Columns of help texts on any terminal, so that they are the same everywhere. */
const HELP_COLUMNS = 100;

/** Throws USAGE. */
export function parseCommandLine(argv: readonly string[]): Invocation {
  const words = withCommandFirst(argv);
  if (words.length === 0) throw usage('no command is given', undefined);
  const options = words.slice(0, words.includes('--') ? words.indexOf('--') : undefined);
  if (options.includes('--version')) return { kind: 'version', json: options.includes('--json') };
  const [first = ''] = words;
  const command = ALIASES.get(first) ?? COMMANDS.find((name) => name === first);
  if (command === undefined && !first.startsWith('-')) {
    throw usage(`there is no command ${JSON.stringify(first)}`, undefined);
  }
  if (options.includes('--help') || options.includes('-h')) return { kind: 'help', text: helpText(command) };
  if (command === undefined) throw usage('no command is given', undefined);
  return parseCommand(command, words.slice(1));
}

function parseCommand(command: CommandName, argv: readonly string[]): Invocation {
  const specs = optionsOf(command);
  const words = withBareTexts(argv, specs);
  const parser = withOptions(createYargs(), specs)
    .strictOptions()
    .help(false)
    .fail((message: string | undefined, error: Error | undefined) => {
      throw usage(complaint(message ?? error?.message ?? 'the command line cannot be parsed'), command);
    });
  const parsed = parser.parseSync(withLettersApart(words, specs)) as Readonly<Record<string, unknown>>;
  const texts = new Map<string, readonly string[]>();
  for (const spec of specs) {
    const given = asTexts(parsed[spec.name]);
    if (given.includes('')) throw usage(`--${spec.name} needs a value`, command);
    if (given.length > 0) texts.set(spec.name, given);
  }
  // yargs does not tell an empty list from none.
  const commandWords = argv.includes('--') ? asTexts(parsed['--']) : undefined;
  return {
    ...{ kind: 'command', command, texts, commandWords },
    words: [...asTexts(parsed['_']), ...(commandWords ?? [])],
  };
}

function helpText(command: CommandName | undefined): string {
  const parser = createYargs().wrap(HELP_COLUMNS).help(false);
  if (command === undefined) {
    parser.usage(`ssm-proxy <command> [options]\n\n${PROGRAM_SUMMARY}`);
    for (const name of COMMANDS) parser.command(COMMAND_HELP[name].usage, COMMAND_HELP[name].summary);
    parser.option('help', { type: 'boolean', describe: 'Help, also on a command: ssm-proxy connect --help' });
    parser.option('version', { type: 'boolean', describe: 'Version; with --json for programs' });
    const examples = COMMANDS.flatMap((name) => COMMAND_HELP[name].examples.slice(0, 1));
    for (const [line, meaning] of examples) parser.example(line, meaning);
  } else {
    const help = COMMAND_HELP[command];
    parser.usage(`ssm-proxy ${help.usage} [options]\n\n${help.summary}.\n${help.details}`);
    withOptions(parser, optionsOf(command));
    for (const [line, meaning] of help.examples) parser.example(line, meaning);
  }
  let text = '';
  parser.showHelp((help) => (text = help));
  return `${text}\n`;
}

function createYargs(): Argv {
  return yargs([])
    .scriptName('ssm-proxy')
    .locale('en')
    .exitProcess(false)
    .version(false)
    .parserConfiguration(STRICT_PARSING);
}

function withOptions(parser: Argv, specs: readonly OptionSpec[]): Argv {
  for (const spec of specs) {
    const variable = spec.env === undefined ? '' : ` (${spec.env})`;
    const common = {
      describe: `${spec.help}${variable}`,
      ...(spec.short === undefined ? {} : { alias: spec.short }),
    };
    parser.option(
      spec.name,
      spec.value === undefined
        ? { ...common, type: 'boolean', nargs: 0 }
        : {
            ...common,
            type: 'string',
            requiresArg: true,
            ...(spec.defaultText === undefined ? {} : { defaultDescription: spec.defaultText }),
          },
    );
  }
  return parser;
}

/** `--share` becomes `--share=on`: yargs would take the next word for its value. */
function withBareTexts(argv: readonly string[], specs: readonly OptionSpec[]): string[] {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  return argv.map((argument, index) => {
    const bare = index < end ? specs.find(({ name }) => `--${name}` === argument)?.bare : undefined;
    return bare === undefined ? argument : `${argument}=${bare}`;
  });
}

/** `--region x connect h` becomes `connect --region x h`: options may stand before the command. */
function withCommandFirst(argv: readonly string[]): readonly string[] {
  const specs: readonly OptionSpec[] = OPTIONS;
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? '';
    if (argument === '--') break;
    if (!argument.startsWith('-')) return [argument, ...argv.slice(0, index), ...argv.slice(index + 1)];
    const takesNext = specs.some(
      (spec) =>
        spec.value !== undefined &&
        spec.bare === undefined &&
        [`--${spec.name}`, `-${spec.short}`].includes(argument),
    );
    if (takesNext) index += 1;
  }
  return argv;
}

/** `-L8080:80` becomes `-L 8080:80`. */
function withLettersApart(argv: readonly string[], specs: readonly OptionSpec[]): string[] {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  return argv.flatMap((argument, index) => {
    const isJoined =
      index < end &&
      /^-[A-Za-z]./.test(argument) &&
      specs.some(({ short, value }) => value !== undefined && short === argument[1]);
    return isJoined ? [argument.slice(0, 2), argument.slice(2)] : [argument];
  });
}

/** yargs gives a text, true, or a list of them. */
function asTexts(value: unknown): readonly string[] {
  if (value === undefined) return [];
  return (Array.isArray(value) ? (value as readonly unknown[]) : [value]).map(String);
}

/** yargs' words for an unknown or incomplete option, in ours. */
function complaint(message: string): string {
  const [, unknown] = /^Unknown arguments?: (.*)$/.exec(message) ?? [];
  if (unknown !== undefined)
    return `there is no option ${unknown
      .split(', ')
      .map((name) => (name.length === 1 ? `-${name}` : `--${name}`))
      .join(' or ')}`;
  const [, incomplete] = /^Not enough arguments following: (.*)$/.exec(message) ?? [];
  if (incomplete !== undefined) return `--${incomplete} needs a value`;
  return message;
}

function usage(message: string, command: CommandName | undefined): ProxyError {
  const hint = `ssm-proxy ${command === undefined ? '' : `${command} `}--help says what can be given`;
  return new ProxyError('USAGE', message, { hint });
}
