/** The quick parser of `connect` and yargs: whatever the first accepts, the second understands in the same way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConnectArgs, splitConnectLine } from '../../src/cli/connect-args.ts';
import type { ConnectArgs } from '../../src/cli/connect-args.ts';
import { optionsOf } from '../../src/cli/options.ts';
import type { OptionSpec } from '../../src/cli/options.ts';
import { parseCommandLine } from '../../src/cli/parse-command-line.ts';
import { ProxyError } from '../../src/errors.ts';
import { forSeeds, randomInteger } from '../support/random.ts';
import type { Random } from '../support/random.ts';

const LINES_PER_SEED = 100;

/** For options without values of their own below. Both parsers must refuse a bad one in the same words. */
const ANY_VALUE = ['30s', '1', 'no such value'];

const values: Readonly<Record<string, readonly string[]>> = {
  region: ['us-east-1', 'us-east-1,us-west-2', ' eu-west-1 ,'],
  profile: ['default', 'my profile', 'connect', '0', '1e3', 'a=b', 'true', '__proto__'],
  'endpoint-url': ['http://127.0.0.1:4566', 'https://x.example/?a=b&c'],
  'ssmmessages-endpoint': ['wss://vpce-1.example'],
  account: ['111122223333', '1111'],
  vpc: ['vpc-0123', 'research', '007'],
  tag: ['team=ml', 'a=', 'a=b=c', 'k=é', '__proto__=x'],
  document: ['Own-Doc', 'arn:aws:ssm:us-east-1:123456789012:document/Own'],
  parameter: ['a=1', 'a=2', 'portNumber=22', 'constructor=x'],
  'connect-timeout': ['30', '30s', '2m', '0.5'],
  share: ['on', 'off', '10m'],
  pace: ['safe', 'off', '1500'],
  'log-level': ['debug', 'trace', 'error'],
  'log-file': ['/tmp/a file.log', 'x'],
};
const destinations = [
  ['10.0.1.10'],
  ['10.0.1.10', '22'],
  ['10.0.1.10:2222'],
  ['i-0123456789abcdef0', '2222'],
  ['fd00::1'],
  ['[fd00::1]:22'],
  ['fd00::1', '443'],
  ['ip-10-0-1-5.ec2.internal', '22'],
  ['my node', '22'],
  ['10', '22'],
  ['0x10'],
  ['true', '22'],
  ['connect', '22'],
  ['resolve'],
];

function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[randomInteger(random, 0, choices.length - 1)]!;
}

function randomLine(random: Random): string[] {
  const oneIn = (count: number): boolean => randomInteger(random, 1, count) === 1;
  const pieces: string[][] = [];
  for (let left = randomInteger(random, 0, 4); left > 0; left -= 1) {
    const { name, value, bare }: OptionSpec = pick(random, optionsOf('connect'));
    const choices = values[name] ?? ANY_VALUE;
    if (value === undefined || (bare !== undefined && oneIn(2))) pieces.push([`--${name}`]);
    else if (bare !== undefined) pieces.push([`--${name}=${pick(random, choices)}`]);
    else if (oneIn(2)) pieces.push([`--${name}=${pick(random, choices)}`]);
    else pieces.push([`--${name}`, pick(random, choices)]);
  }
  const words = ['connect', ...pick(random, destinations)];
  // Words keep their order; options go anywhere between them, `--` anywhere before the words that are left.
  const line: string[] = [];
  let dashed = false;
  while (pieces.length > 0 || words.length > 0) {
    if (pieces.length > 0 && (words.length === 0 ? !dashed : oneIn(2) && !dashed))
      line.push(...pieces.shift()!);
    else if (words.length > 0) line.push(words.shift()!);
    else break;
    if (pieces.length === 0 && !dashed && line.includes('connect') && oneIn(6)) {
      dashed = true;
      line.push('--');
    }
  }
  return line;
}

function parseQuickly(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): ConnectArgs | undefined {
  const line = splitConnectLine(argv);
  return line === undefined ? undefined : readConnectArgs(line, env);
}

/** The other way to the same arguments. */
function parseWithYargs(argv: readonly string[], env: Readonly<Record<string, string>>): ConnectArgs {
  const invocation = parseCommandLine(argv);
  assert.ok(invocation.kind === 'command' && invocation.command === 'connect');
  const [target = '', port, ...rest] = invocation.words;
  assert.deepEqual(rest, []);
  return readConnectArgs({ target, port, texts: invocation.texts }, env);
}

function outcome(parse: () => ConnectArgs | undefined): unknown {
  try {
    return parse();
  } catch (error) {
    assert.ok(error instanceof ProxyError);
    return { code: error.code, message: error.message };
  }
}

test('both parsers agree on random lines', () => {
  forSeeds(4, (random) => {
    let accepted = 0;
    for (let round = 0; round < LINES_PER_SEED; round += 1) {
      const argv = randomLine(random);
      const env: Record<string, string> =
        random() < 0.3
          ? { SSM_PROXY_REGION: 'ap-south-1', SSM_PROXY_TAG: 'x=1,y=2', SSM_PROXY_QUIET: '1' }
          : {};
      const quick = outcome(() => parseQuickly(argv, env));
      if (quick === undefined) continue;
      accepted += 1;
      const slow = outcome(() => parseWithYargs(argv, env));
      assert.deepEqual(slow, quick, JSON.stringify(argv));
    }
    assert.equal(accepted, LINES_PER_SEED, 'the quick parser takes every line of this grammar');
  });
});

const left: readonly (readonly string[])[] = [
  ['connect'],
  ['resolve', 'host'],
  ['connect', 'host', '22', '33'],
  ['connect', 'host', '--help'],
  ['connect', 'host', '--version'],
  ['connect', 'host', '--bad'],
  ['connect', 'host', '-q'],
  ['connect', 'host', '--region'],
  ['connect', '--region', '--quiet', 'host'],
  ['connect', '--quiet=false', 'host'],
  ['connect', '--region=', 'host'],
];

for (const argv of left) {
  test(`leaves ${JSON.stringify(argv)} to yargs`, () => {
    assert.equal(parseQuickly(argv, {}), undefined);
  });
}

test('the line that launchers store is understood without yargs', () => {
  const args = parseQuickly(['connect', '10.0.1.10', '22'], {});
  assert.deepEqual([args?.target, args?.port], ['10.0.1.10', 22]);
  assert.deepEqual([args?.tags, args?.parameters, args?.pace], [{}, {}, { kind: 'safe' }]);
  assert.deepEqual([args?.connectTimeoutMs, args?.quiet, args?.logLevel], [undefined, false, undefined]);
});
