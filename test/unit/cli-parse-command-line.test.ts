import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCommandLine } from '../../src/cli/parse-command-line.ts';
import { COMMANDS, optionsOf } from '../../src/cli/options.ts';

const refused: readonly (readonly [argv: readonly string[], message: RegExp])[] = [
  [[], /^no command is given$/],
  [['--quiet'], /^no command is given$/],
  [['--', 'connect', 'host'], /^no command is given$/],
  [['conect', 'host'], /^there is no command "conect"$/],
  [['connect', 'host', '--bad'], /^there is no option --bad$/],
  [['connect', 'host', '--bad', '--worse=1'], /^there is no option --bad or --worse$/],
  [['connect', 'host', '-p', '22'], /^there is no option -p$/],
  [['connect', 'host', '--logLevel', 'debug'], /^there is no option --logLevel$/],
  [['connect', 'host', '--no-quiet'], /^there is no option --no-quiet$/],
  [['connect', 'host', '--nodes', '3'], /^there is no option --nodes$/],
  [['connect', 'host', '--region'], /^--region needs a value$/],
  [['connect', '--region', '--quiet', 'host'], /^--region needs a value$/],
  [['connect', 'host', '--region='], /^--region needs a value$/],
  [['connect', 'host', '--region', ''], /^--region needs a value$/],
];

for (const [argv, message] of refused) {
  test(`refuses ${JSON.stringify(argv)}`, () => {
    assert.throws(() => parseCommandLine(argv), { code: 'USAGE', exitStatus: 2, message, hint: /--help/ });
  });
}

test('words and options are told apart, texts stay texts', () => {
  assert.deepEqual(parseCommandLine(['resolve', '0010', '--tag', 'a=1', '--tag=b=2', '--json']), {
    kind: 'command',
    command: 'resolve',
    words: ['0010'],
    commandWords: undefined,
    texts: new Map([
      ['tag', ['a=1', 'b=2']],
      ['json', ['true']],
    ]),
  });
});

test('what follows -- is words', () => {
  const invocation = parseCommandLine(['connect', '--quiet', '--', '--region', '22']);
  assert.deepEqual(invocation, {
    kind: 'command',
    command: 'connect',
    words: ['--region', '22'],
    commandWords: ['--region', '22'],
    texts: new Map([['quiet', ['true']]]),
  });
});

test('the version is asked for anywhere before --', () => {
  assert.deepEqual(parseCommandLine(['--version']), { kind: 'version', json: false });
  assert.deepEqual(parseCommandLine(['--version', '--json']), { kind: 'version', json: true });
  assert.deepEqual(parseCommandLine(['connect', '--version']), { kind: 'version', json: false });
  assert.equal(parseCommandLine(['connect', '--', '--version']).kind, 'command');
});

for (const command of COMMANDS) {
  for (const argv of [
    [command, '--help'],
    ['--help', command],
    [command, 'host', '-h'],
  ]) {
    test(`${argv.join(' ')} lists every option and examples`, () => {
      const invocation = parseCommandLine(argv);
      assert.ok(invocation.kind === 'help');
      for (const option of optionsOf(command))
        assert.match(invocation.text, new RegExp(`^ +(-\\w, )?--${option.name} `, 'm'));
      assert.match(invocation.text, /^Examples:$/m);
      assert.match(invocation.text, new RegExp(`^ssm-proxy ${command}`));
    });
  }
}

test('help of the program lists every command', () => {
  const invocation = parseCommandLine(['--help']);
  assert.ok(invocation.kind === 'help');
  for (const command of COMMANDS) assert.match(invocation.text, new RegExp(`^  ssm-proxy ${command}`, 'm'));
});

test('no help line is wider than 100 columns', () => {
  for (const argv of [['--help'], ...COMMANDS.map((command) => [command, '--help'])]) {
    const invocation = parseCommandLine(argv);
    assert.ok(invocation.kind === 'help');
    for (const line of invocation.text.split('\n')) assert.ok(line.length <= 100, line);
  }
});
