/** The manual pages: complete, and without a word of complaint from groff. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { manPages } from '../../scripts/man.ts';
import { COMMAND_HELP } from '../../src/cli/help.ts';
import { COMMANDS, optionsOf } from '../../src/cli/options.ts';
import { ERROR_TABLE } from '../../src/errors.ts';
import { skipWithout } from '../support/programs.ts';

/** As a reader sees it, on one line. Wide, so that no line ends within an option. */
function rendered(page: string): string {
  const { status, stdout, stderr } = spawnSync('groff', ['-man', '-Tascii', '-ww', '-rLL=300n', '-P-cbou'], {
    input: page,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
  });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout.replace(/\s+/g, ' ');
}

test('there is a page of the program and one of each command', () => {
  const names = ['ssm-proxy.1', ...COMMANDS.map((command) => `ssm-proxy-${command}.1`)];
  assert.deepEqual([...manPages().keys()], names);
});

test('groff has no complaint, and a page says what --help says', { skip: skipWithout('groff') }, () => {
  for (const command of COMMANDS) {
    const text = rendered(manPages().get(`ssm-proxy-${command}.1`) ?? '');
    const { summary, details, examples } = COMMAND_HELP[command];
    const options = optionsOf(command).flatMap(({ name, value, help }) => [
      value === undefined ? `--${name}` : `--${name} ${value}`,
      help.slice(1),
    ]);
    for (const part of [summary, details, ...examples.flat().map((each) => each.slice(1)), ...options]) {
      assert.ok(text.includes(part), `${command}: ${part}`);
    }
  }
});

test('the page of the program has every command and every error code', { skip: skipWithout('groff') }, () => {
  const text = rendered(manPages().get('ssm-proxy.1') ?? '');
  for (const command of COMMANDS)
    assert.ok(text.includes(`ssm-proxy ${COMMAND_HELP[command].usage}`), command);
  for (const [code, { meaning }] of Object.entries(ERROR_TABLE))
    assert.ok(text.includes(`${code}: ${meaning}`), code);
});
