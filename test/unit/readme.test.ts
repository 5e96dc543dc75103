/** The tables in README and docs are what the code says. `UPDATE_GOLDEN=1 npm test -- readme` puts them there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { manPages } from '../../scripts/man.ts';
import { COMMAND_HELP } from '../../src/cli/help.ts';
import { COMMANDS, OPTIONS } from '../../src/cli/options.ts';
import type { OptionSpec } from '../../src/cli/options.ts';
import { ERROR_TABLE } from '../../src/errors.ts';
import { userPolicy } from '../../src/policy/policies.ts';
import { packageFacts, projectRoot } from '../support/cli.ts';
import { assertGolden } from '../support/golden.ts';

const readmeFile = join(projectRoot, 'README.md');
const readme = readFileSync(readmeFile, 'utf8');

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [headings, headings.map(() => '---'), ...rows].map(line).join('\n');
}

/** The page must have `text` between the marks of a part. */
function assertPart(page: string, name: string, text: string): void {
  const file = join(projectRoot, page);
  const current = readFileSync(file, 'utf8');
  const marks = new RegExp(`(<!-- ${name}: [^>]*-->\\n)[^]*?(<!-- /${name} -->)`);
  assert.match(current, marks, `${page} has no part ${name}`);
  assertGolden(
    file,
    current.replace(marks, (_all, start: string, end: string) => `${start}${text}\n${end}`),
  );
}

function optionForm(name: string, { value, bare }: OptionSpec): string {
  if (value === undefined) return name;
  return bare === undefined ? `${name} ${value}` : `${name}[=${value}]`;
}

function code(text: string | undefined): string {
  return text === undefined ? '' : `\`${text}\``;
}

test('the options table is that of the code', () => {
  const options: readonly OptionSpec[] = OPTIONS;
  const rows = options.map((option) => [
    [option.short === undefined ? undefined : `-${option.short}`, `--${option.name}`]
      .filter((name) => name !== undefined)
      .map((name) => code(optionForm(name, option)))
      .join(', '),
    option.commands.length === COMMANDS.length ? 'all' : option.commands.join(', '),
    code(option.env),
    option.defaultText ?? '',
    option.help,
  ]);
  assertPart(
    'docs/options.md',
    'options',
    table(['Option', 'Commands', 'Variable', 'Default', 'Meaning'], rows),
  );
});

test('the table of error codes is that of the code', () => {
  const rows = Object.entries(ERROR_TABLE).map(([name, row]) => [
    code(name),
    String(row.exitStatus),
    row.meaning,
  ]);
  assertPart('docs/errors.md', 'errors', table(['Code', 'Exit status', 'Meaning'], rows));
});

test('every command is in the README as its help has it', () => {
  for (const command of COMMANDS)
    assert.ok(readme.includes(`| \`${COMMAND_HELP[command].usage.replaceAll('|', '\\|')}\` |`), command);
});

test('every npm script that the README names exists', () => {
  const scripts = Object.keys(packageFacts().scripts);
  const named = [...readme.matchAll(/npm (?:run ([a-z:]+)|(test))/g)].map(
    ([, run, bare]) => run ?? bare ?? '',
  );
  assert.ok(named.length > 0);
  for (const name of named) assert.ok(scripts.includes(name), name);
});

test('the policy in the README is the one that ssm-proxy policy prints', () => {
  const [, policy = ''] = /```json\n([^]*?)```/.exec(readme) ?? [];
  const scope = { account: undefined, regions: [], tags: {}, uses: ['connect'] } as const;
  assert.deepEqual(JSON.parse(policy), userPolicy(scope));
});

test('package.json lists the manual pages that the build makes', () => {
  const file = join(projectRoot, 'package.json');
  const list = [...manPages().keys()].map((name) => `    "./dist/man/${name}"`).join(',\n');
  const current = readFileSync(file, 'utf8');
  assert.match(current, /^ {2}"man": \[/m);
  assertGolden(
    file,
    current.replace(
      /^( {2}"man": \[\n)[^\]]*\n( {2}\])/m,
      (_all, start: string, end: string) => `${start}${list}\n${end}`,
    ),
  );
});
