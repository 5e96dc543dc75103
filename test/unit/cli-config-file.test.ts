/** The user's config file: what it means, what is refused, and in whose name. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readConnectArgs } from '../../src/cli/connect-args.ts';
import { configurableOptions, parseConfig, readConfig } from '../../src/cli/settings/config-file.ts';
import { configPath, configuredValues } from '../../src/cli/settings/config-path.ts';
import { parseHostPatterns } from '../../src/cli/settings/host-pattern.ts';
import type { Environment } from '../../src/cli/option-values.ts';
import { ProxyError } from '../../src/errors.ts';

const FILE = '/somewhere/.config/ssm-proxy/config.yaml';

const folder = mkdtempSync(join(tmpdir(), 'ssm-proxy-config-'));
after(() => rmSync(folder, { recursive: true }));

function texts(text: string, target?: string, env: Environment = {}): Record<string, readonly string[]> {
  return Object.fromEntries(
    [...parseConfig(text, FILE).forTarget(target, env)].map(([name, value]) => [name, value.texts]),
  );
}

function refusal(act: () => unknown): ProxyError {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof ProxyError);
    return error;
  }
  throw new Error('it was accepted');
}

const EXAMPLE = `
# Ours
defaults:
  region: us-east-1
  pace: 1500
hosts:
  - match: 10.1.*
    profile: research
    region: [us-east-1, us-west-2]
    tag: { team: ml, role: worker }
  - match: ['10.0.0.0/8', '!10.9.0.0/16', GPU-*]
    profile: all-ten
    vpc: vpc-0123
`;

test('the first part that matches and gives an option wins, defaults last', () => {
  assert.deepEqual(texts(EXAMPLE, '10.1.2.3'), {
    profile: ['research'],
    region: ['us-east-1,us-west-2'],
    tag: ['team=ml', 'role=worker'],
    vpc: ['vpc-0123'],
    pace: ['1500'],
  });
  assert.deepEqual(texts(EXAMPLE, '10.2.2.3'), {
    profile: ['all-ten'],
    vpc: ['vpc-0123'],
    region: ['us-east-1'],
    pace: ['1500'],
  });
});

test('without a target only the defaults hold', () => {
  assert.deepEqual(texts(EXAMPLE), { region: ['us-east-1'], pace: ['1500'] });
});

test("AWS's variables go before defaults, and what is said of a host before them", () => {
  const env = { AWS_REGION: 'eu-west-1', AWS_PROFILE: 'shell', AWS_ENDPOINT_URL: '', SSM_PROXY_VPC: 'v' };
  const text = `
defaults: { region: us-east-1, profile: usual, endpoint-url: 'https://x', vpc: main }
hosts:
  - { match: 10.1.*, profile: research }
`;
  const rest = { 'endpoint-url': ['https://x'], vpc: ['main'] };
  assert.deepEqual(texts(text, '10.2.0.1', env), rest);
  assert.deepEqual(texts(text, '10.1.0.1', env), { profile: ['research'], ...rest });
  assert.deepEqual(texts(text, '10.2.0.1', { AWS_ACCESS_KEY_ID: 'A' }), { region: ['us-east-1'], ...rest });
  assert.deepEqual(texts(text, '10.2.0.1', {})['profile'], ['usual']);
});

test('case does not count, and ! leaves targets out', () => {
  assert.deepEqual(texts(EXAMPLE, 'gpu-7')['profile'], ['all-ten']);
  assert.equal(texts(EXAMPLE, '10.9.0.1')['profile'], undefined);
});

test('a name that says its region is not overruled by the file', () => {
  assert.equal(texts(EXAMPLE, 'ip-10-2-0-1.us-west-2.compute.internal')['region'], undefined);
  assert.deepEqual(texts(EXAMPLE, 'my-node')['region'], ['us-east-1']);
});

test('numbers are taken as they are written', () => {
  assert.deepEqual(texts('defaults: { connect-timeout: 010, vpc: 007 }'), {
    'connect-timeout': ['010'],
    vpc: ['007'],
  });
});

test('an anchor and its alias are one value', () => {
  assert.deepEqual(texts('defaults:\n  profile: &p one\n  vpc: *p\n'), { profile: ['one'], vpc: ['one'] });
});

for (const text of ['', '# nothing\n', 'hosts:\n', 'defaults:\n', '{}']) {
  test(`${JSON.stringify(text)} sets nothing`, () => assert.deepEqual(texts(text, 'x'), {}));
}

for (const [text, line, what] of [
  ['defaults:\n  regoin: x\n', 2, /there is no option "regoin"/],
  ['default: {}\n', 1, /there is no part "default"/],
  ['hosts:\n  match: x\n', 1, /hosts must be a list/],
  ['hosts:\n  - profile: x\n', 2, /has no match/],
  ['hosts:\n  - match: 10.0.0.0\/33\n', 2, /neither a name nor a network/],
  ['defaults:\n  vpc:\n', 2, /vpc has no value/],
  ['defaults:\n  vpc: [[a]]\n', 2, /vpc has no value/],
  ['defaults: [a]\n', 1, /must be "name: value" lines/],
  ['- a\n', 1, /must be "name: value" lines/],
  ['defaults:\n  vpc: a\n  vpc: b\n', 3, /unique/i],
  ['defaults: {\n', 2, /./],
] as const) {
  test(`${JSON.stringify(text)} is refused in line ${line}`, () => {
    const error = refusal(() => parseConfig(text, FILE));
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.ok(error.message.startsWith(`${FILE}:${line}: `), error.message);
    assert.match(error.message, what);
    assert.equal(error.message.split('\n').length, 1);
  });
}

test('an option wins over its variable, and that over the file', () => {
  const configured = parseConfig('defaults: { vpc: file, profile: file, region: file }', FILE).forTarget(
    't',
    {},
  );
  const args = readConnectArgs(
    { target: 't', port: undefined, texts: new Map([['vpc', ['option']]]) },
    { SSM_PROXY_VPC: 'variable', SSM_PROXY_PROFILE: 'variable' },
    configured,
  );
  assert.deepEqual([args.vpc, args.profile, args.regions], ['option', 'variable', ['file']]);
});

test('a value that cannot be used is blamed on its line', () => {
  const configured = parseConfig('\ndefaults:\n  pace: fast\n', FILE).forTarget('t', {});
  const line = { target: 't', port: undefined, texts: new Map() };
  const error = refusal(() => readConnectArgs(line, {}, configured));
  assert.deepEqual([error.code, error.message], ['CONFIG_INVALID', `${FILE}:3 "fast" cannot be used`]);
});

test('whatever has a variable can be in the file', () => {
  const names = configurableOptions().map(({ name }) => name);
  for (const name of ['region', 'profile', 'vpc', 'tag', 'document', 'pace', 'connect-timeout']) {
    assert.ok(names.includes(name), name);
  }
});

test('the file is found below XDG_CONFIG_HOME or the home, never below a relative place', () => {
  assert.equal(configPath({ XDG_CONFIG_HOME: '/x', HOME: '/h' }), '/x/ssm-proxy/config.yaml');
  assert.equal(configPath({ XDG_CONFIG_HOME: 'x', HOME: '/h' }), '/h/.config/ssm-proxy/config.yaml');
  assert.equal(configPath({ HOME: 'h' }), undefined);
  assert.equal(configPath({}), undefined);
});

test('without a file there are no values', async () => {
  assert.equal(await configuredValues({ HOME: folder }, 'x'), undefined);
});

function fileIn(name: string, mode = 0o600): string {
  const place = join(folder, name);
  mkdirSync(place, { mode: 0o700 });
  const path = join(place, 'config.yaml');
  writeFileSync(path, 'defaults: { vpc: a }\n');
  chmodSync(path, mode);
  return path;
}

test('a file that every user may write is refused', () => {
  const path = fileIn('open', 0o666);
  const error = refusal(() => readConfig(path));
  assert.deepEqual(
    [error.code, error.message],
    ['CONFIG_INVALID', `${path} is not used: every user may write it`],
  );
  assert.equal(error.hint, `chmod o-w ${path}`);
});

test('a file in a folder that every user may write is refused', () => {
  const path = fileIn('open-folder');
  chmodSync(join(folder, 'open-folder'), 0o777);
  assert.match(refusal(() => readConfig(path)).message, /open-folder is not used: every user may write it$/);
});

test('a file of another user is refused', { skip: process.geteuid?.() !== 0 && 'needs root' }, () => {
  const path = fileIn('foreign');
  chownSync(path, 12_345, 12_345);
  assert.match(refusal(() => readConfig(path)).message, /it belongs to user 12345$/);
});

test("a symbolic link to a file of one's own is followed", () => {
  const path = fileIn('linked');
  mkdirSync(join(folder, 'link'), { mode: 0o700 });
  const link = join(folder, 'link', 'config.yaml');
  symlinkSync(path, link);
  assert.deepEqual(readConfig(link).forTarget('x', {}).get('vpc')?.texts, ['a']);
});

test('what is not a file is refused', () => {
  mkdirSync(join(folder, 'directory', 'config.yaml'), { recursive: true, mode: 0o700 });
  assert.match(
    refusal(() => readConfig(join(folder, 'directory', 'config.yaml'))).message,
    /it is not a file$/,
  );
});

for (const [patterns, target, expected] of [
  [['*'], 'anything', true],
  [['10.1.*'], '10.1.2.3', true],
  [['10.1.*'], '10x1y2', false],
  [['i-????????'], 'i-12345678', true],
  [['i-????????'], 'i-123456789', false],
  [['a+b'], 'a+b', true],
  [['172.16.0.0/12'], '172.31.4.5', true],
  [['172.16.0.0/12'], '172.32.4.5', false],
  [['172.16.0.0/12'], 'ip-172-16-0-1', false],
  [['fd00::/8'], 'fd12::1', true],
  [['fd00::/8'], '10.0.0.1', false],
  [['*', '!10.*'], '10.0.0.1', false],
  [['!10.*'], '11.0.0.1', false],
] as const) {
  test(`${patterns.join(' ')} ${expected ? 'matches' : 'does not match'} ${target}`, () => {
    const parsed = parseHostPatterns(patterns);
    assert.ok('matches' in parsed);
    assert.equal(parsed.matches(target), expected);
  });
}
