import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OptionReader } from '../../src/cli/option-values.ts';
import type { Environment } from '../../src/cli/option-values.ts';
import { COMMANDS, OPTIONS, optionsOf } from '../../src/cli/options.ts';
import type { OptionSpec } from '../../src/cli/options.ts';

function reader(texts: Readonly<Record<string, readonly string[]>>, env: Environment = {}): OptionReader {
  return new OptionReader('connect', new Map(Object.entries(texts)), env);
}

for (const [text, expectedMs] of [
  ['30', 30_000],
  ['30s', 30_000],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['500ms', 500],
  ['0.5', 500],
  ['1.25s', 1250],
  ['24h', 86_400_000],
] as const) {
  test(`a connect timeout of ${text} is ${expectedMs} ms`, () => {
    assert.equal(reader({ 'connect-timeout': [text] }).durationMs('connect-timeout', 1), expectedMs);
  });
}

for (const text of [
  '0',
  '0s',
  '-1',
  '1d',
  '30 s',
  's',
  '1e3',
  '.5',
  '25h',
  '0.0001',
  '9999999999',
  'never',
]) {
  test(`a connect timeout of ${text} is refused`, () => {
    assert.throws(() => reader({ 'connect-timeout': [text] }).durationMs('connect-timeout', 1), {
      code: 'USAGE',
      message: `--connect-timeout ${JSON.stringify(text)} cannot be used`,
    });
  });
}

test('a duration that is not given is the default', () => {
  assert.equal(reader({}).durationMs('connect-timeout', 30_000), 30_000);
});

for (const [text, expected] of [
  ['safe', { kind: 'safe' }],
  ['off', { kind: 'off' }],
  ['auto', { kind: 'auto' }],
  ['1', { kind: 'rate', messagesPerSecond: 1 }],
  ['2500', { kind: 'rate', messagesPerSecond: 2500 }],
] as const) {
  test(`a pace of ${text} is understood`, () => {
    assert.deepEqual(reader({ pace: [text] }).pace('pace'), expected);
  });
}

for (const text of ['0', '-5', '1.5', 'fast', '1000001', 'SAFE']) {
  test(`a pace of ${text} is refused`, () => {
    assert.throws(() => reader({ pace: [text] }).pace('pace'), { code: 'USAGE' });
  });
}

test('the pace is safe unless said otherwise', () => {
  assert.deepEqual(reader({}).pace('pace'), { kind: 'safe' });
});

test('a pair is split at its first equals sign and may have an empty value', () => {
  const pairs = reader({ parameter: ['a=1', 'b=x=y', 'c='] }).pairs('parameter');
  assert.deepEqual(pairs, [
    ['a', '1'],
    ['b', 'x=y'],
    ['c', ''],
  ]);
});

for (const text of ['a', '=1', '=']) {
  test(`the pair ${text} is refused`, () => {
    assert.throws(() => reader({ tag: [text] }).pairs('tag'), { code: 'USAGE', hint: 'give KEY=VALUE' });
  });
}

test('an option wins over its variable', () => {
  const env = { SSM_PROXY_PROFILE: 'from-env', SSM_PROXY_TAG: 'a=1', SSM_PROXY_REGION: 'eu-west-1' };
  const options = reader({ profile: ['first', 'last'], tag: ['b=2'], region: ['us-east-1'] }, env);
  assert.equal(options.text('profile'), 'last');
  assert.deepEqual(options.pairs('tag'), [['b', '2']]);
  assert.deepEqual(options.list('region'), ['us-east-1']);
});

test('a variable is used when the option is not given', () => {
  const env = { SSM_PROXY_PROFILE: 'from-env', SSM_PROXY_TAG: 'a=1, b=2,', SSM_PROXY_CONNECT_TIMEOUT: '5' };
  const options = reader({}, env);
  assert.equal(options.text('profile'), 'from-env');
  assert.deepEqual(options.pairs('tag'), [
    ['a', '1'],
    ['b', '2'],
  ]);
  assert.equal(options.durationMs('connect-timeout', 1), 5000);
});

test('an empty variable counts as unset', () => {
  assert.equal(reader({}, { SSM_PROXY_PROFILE: '' }).text('profile'), undefined);
  assert.equal(reader({}, { SSM_PROXY_QUIET: '' }).switch('quiet'), false);
});

test('a variable that cannot be used is named in the error', () => {
  assert.throws(() => reader({}, { SSM_PROXY_PACE: 'fast' }).pace('pace'), {
    message: 'SSM_PROXY_PACE "fast" cannot be used',
  });
});

for (const [text, expected] of [
  ['1', true],
  ['true', true],
  ['YES', true],
  ['0', false],
  ['off', false],
] as const) {
  test(`SSM_PROXY_QUIET=${text} is ${expected}`, () => {
    assert.equal(reader({}, { SSM_PROXY_QUIET: text }).switch('quiet'), expected);
  });
}

test('a switch variable with another text is refused', () => {
  assert.throws(() => reader({}, { SSM_PROXY_QUIET: 'perhaps' }).switch('quiet'), { code: 'USAGE' });
});

test('regions are a list without blanks and empty words', () => {
  assert.deepEqual(reader({ region: ['us-east-1, us-west-2,,'] }).list('region'), ['us-east-1', 'us-west-2']);
  assert.equal(reader({ region: [','] }).list('region'), undefined);
});

test('a log level is one of the known ones', () => {
  assert.equal(reader({ 'log-level': ['debug'] }).logLevel('log-level'), 'debug');
  assert.equal(reader({}).logLevel('log-level'), undefined);
  assert.throws(() => reader({ 'log-level': ['loud'] }).logLevel('log-level'), { code: 'USAGE' });
});

test('option names are unique within a command, and take a value in all commands or in none', () => {
  for (const command of COMMANDS) {
    const names = optionsOf(command).map((option) => option.name);
    assert.equal(new Set(names).size, names.length, command);
  }
  const all: readonly OptionSpec[] = OPTIONS;
  for (const option of all) {
    for (const other of all) {
      if (option.name === other.name) assert.equal(option.value === undefined, other.value === undefined);
    }
  }
});
