/**
 * Manual pages in roff (man(7)), from the tables that --help is made from: one of the program and one of each command.
 * Made by every build (papers.mjs); dist/man is what package.json lists for npm.
 */
import { COMMAND_HELP, PROGRAM_SUMMARY } from '../src/cli/help.ts';
import type { CommandName, OptionSpec } from '../src/cli/options.ts';
import { COMMANDS, OPTIONS, optionsOf } from '../src/cli/options.ts';
import { ERROR_TABLE } from '../src/errors.ts';
import { VERSION } from '../src/version.ts';

const MANUAL = 'ssm-proxy manual';
const HELP = { name: 'help', value: undefined, help: 'Examples and all options.' };
const VERSION_OPTION = { name: 'version', value: undefined, help: 'The version; with --json for programs.' };

/** File names with their texts. */
export function manPages(): ReadonlyMap<string, string> {
  return new Map([
    ['ssm-proxy.1', programPage()],
    ...COMMANDS.map((command) => [`ssm-proxy-${command}.1`, commandPage(command)] as const),
  ]);
}

function programPage(): string {
  const entries = COMMANDS.map((command) =>
    entry(bold(`ssm-proxy ${COMMAND_HELP[command].usage}`), sentence(COMMAND_HELP[command].summary)),
  );
  return page('ssm-proxy', PROGRAM_SUMMARY, [
    section('Synopsis', `${bold('ssm-proxy')} ${italic('command')} [${italic('options')}]`),
    section(
      'Description',
      plain(PROGRAM_SUMMARY),
      plain('It is a ProxyCommand of ssh(1): scp, sftp, rsync and git work with it as they are.'),
    ),
    section('Commands', ...entries),
    section('Options', optionEntry(HELP), optionEntry(VERSION_OPTION)),
    section('Environment', plain('An option wins over its variable.'), ...environmentEntries()),
    section('Exit status', ...statusEntries()),
    section(
      'Examples',
      ...COMMANDS.flatMap((command) => COMMAND_HELP[command].examples.slice(0, 1).map(example)),
    ),
    section(
      'See also',
      ['ssh(1)', 'ssh_config(5)', ...COMMANDS.map((command) => `ssm-proxy-${command}(1)`)]
        .map(reference)
        .join(',\n'),
    ),
  ]);
}

function commandPage(command: CommandName): string {
  const { usage, summary, details, examples } = COMMAND_HELP[command];
  const [, ...words] = usage.split(' ');
  const synopsis = [bold(`ssm-proxy ${command}`), ...words.map(italic), `[${italic('options')}]`];
  return page(`ssm-proxy-${command}`, summary, [
    section('Synopsis', synopsis.join(' ')),
    section('Description', plain(sentence(summary)), plain(details)),
    section('Options', ...optionsOf(command).map(optionEntry), optionEntry(HELP)),
    section('Examples', ...examples.map(example)),
    section('See also', reference('ssm-proxy(1)')),
  ]);
}

function page(name: string, summary: string, sections: readonly string[]): string {
  const heading = [
    '.TH',
    quoted(name.toUpperCase()),
    '1',
    '""',
    quoted(`ssm-proxy ${VERSION}`),
    quoted(MANUAL),
  ];
  // Words are not broken and lines not stretched: commands and options are copied from here.
  const lines = [
    heading.join(' '),
    '.nh',
    '.ad l',
    section('Name', `${plain(name)} \\- ${plain(summary.replace(/\.$/, ''))}`),
  ];
  return [...lines, ...sections].join('\n').concat('\n');
}

/** Paragraphs under a heading. */
function section(title: string, ...paragraphs: readonly string[]): string {
  const [first = '', ...others] = paragraphs;
  const rest = others.map((paragraph) => (paragraph.startsWith('.') ? paragraph : `.PP\n${paragraph}`));
  return [`.SH ${title.toUpperCase()}`, first, ...rest].join('\n');
}

function entry(term: string, ...description: readonly string[]): string {
  return ['.TP', term, ...description.map(plain)].join('\n');
}

function optionEntry(
  option: Pick<OptionSpec, 'name' | 'short' | 'value' | 'help' | 'env' | 'defaultText'>,
): string {
  const { name, short, value, help, env, defaultText } = option;
  const term = (short === undefined ? [`--${name}`] : [`-${short}`, `--${name}`])
    .map((each) => (value === undefined ? bold(each) : `${bold(each)} ${italic(value)}`))
    .join(', ');
  const notes = [
    ...(defaultText === undefined ? [] : [`Default: ${defaultText}.`]),
    ...(env === undefined ? [] : [`Variable: ${env}.`]),
  ];
  return entry(term, sentence(help), ...notes);
}

function environmentEntries(): readonly string[] {
  const options: readonly OptionSpec[] = OPTIONS;
  const names = new Map<string, string>();
  for (const { env, name } of options) if (env !== undefined) names.set(env, name);
  return [...names]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([variable, name]) => entry(bold(variable), `As --${name}.`));
}

/** One entry for each status, with all that it can mean. */
function statusEntries(): readonly string[] {
  const meanings = new Map<number, string[]>([[0, ['Success.']]]);
  for (const [code, { exitStatus, meaning }] of Object.entries(ERROR_TABLE)) {
    meanings.set(exitStatus, [...(meanings.get(exitStatus) ?? []), `${code}: ${meaning}`]);
  }
  return [...meanings]
    .sort(([a], [b]) => a - b)
    .map(([status, texts]) => ['.TP', bold(String(status)), texts.map(plain).join('\n.br\n')].join('\n'));
}

function example([line, meaning]: readonly [string, string]): string {
  return ['.TP', bold(line), plain(sentence(meaning))].join('\n');
}

/** `ssh(1)` with its name in bold. */
function reference(text: string): string {
  const [, name = text, number = ''] = /^(.*)(\(\d\))$/.exec(text) ?? [];
  return `${bold(name)}${number}`;
}

function sentence(text: string): string {
  const capital = `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

/** Text as it is: no backslash, dash or line start of it means anything to roff. */
function plain(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replaceAll('`', '\\(ga');
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}

function bold(text: string): string {
  return `\\fB${plain(text)}\\fR`;
}

function italic(text: string): string {
  return `\\fI${plain(text)}\\fR`;
}

/** As an argument of a macro. */
function quoted(text: string): string {
  return `"${plain(text)}"`;
}
