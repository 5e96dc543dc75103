/** `ssm-proxy config show`, and the config file as `connect` uses it: the built program with a home of its own. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { createAwsHome } from '../support/aws-home.ts';
import type { AwsHome } from '../support/aws-home.ts';
import { runCli } from '../support/cli.ts';
import type { CliResult } from '../support/cli.ts';
import { startEmulatorProcess } from '../support/emulator-process.ts';
import type { EmulatorProcess } from '../support/emulator-process.ts';

let emulator: EmulatorProcess;
let home: AwsHome;
const CONFIG = '.config/ssm-proxy/config.yaml';

before(async () => {
  emulator = await startEmulatorProcess(['--nodes', '1']);
});
after(() => emulator.stop());
beforeEach(() => {
  home = createAwsHome();
});
afterEach(() => home[Symbol.dispose]());

function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd?: string,
): Promise<CliResult> {
  return runCli(args, {
    ...(cwd !== undefined && { cwd }),
    env: { HOME: home.directory, XDG_STATE_HOME: home.directory, AWS_EC2_METADATA_DISABLED: 'true', ...env },
  });
}

test('each setting is shown with who decided it', async () => {
  home.write('.aws/config', '[profile research]\nregion = eu-west-1\n');
  const file = home.write(
    CONFIG,
    'hosts:\n  - match: 10.1.*\n    profile: research\n    tag: { team: ml }\n',
  );
  const env = { SSM_PROXY_VPC: 'lab', AWS_REGION: '' };
  const { status, stdout, stderr } = await run(['config', 'show', '10.1.2.3'], env);
  assert.deepEqual([status, stderr], [0, '']);
  const lines = stdout.split('\n');
  assert.equal(lines[0], `File  ${file}`);
  const row = (name: string): string | undefined =>
    lines.find((line) => line.startsWith(`${name} `))?.replace(/ {2,}/g, ' | ');
  assert.equal(row('profile'), `profile | research | ${file}:3`);
  assert.equal(row('tag'), `tag | team=ml | ${file}:4`);
  assert.equal(row('vpc'), 'vpc | lab | SSM_PROXY_VPC');
  assert.equal(row('region'), 'region | eu-west-1 | profile research');
  assert.equal(row('pace'), 'pace | safe | default');
});

test("a host's entry goes before AWS_PROFILE, AWS_PROFILE before defaults; the role is shown", async () => {
  home.write('.aws/config', '[profile research]\n[profile usual]\n[profile shell]\n');
  const role = 'arn:aws:iam::111122223333:role/ssh';
  const file = home.write(
    CONFIG,
    `defaults:\n  profile: usual\n  role: ${role}\nhosts:\n  - { match: 10.1.*, profile: research }\n  - { match: 10.2.*, role: none }\n`,
  );
  const shown = async (target: string, env: Record<string, string>): Promise<unknown> => {
    const { stdout } = await run(['config', 'show', target, '--json'], env);
    const { settings } = JSON.parse(stdout) as {
      settings: { name: string; value: string; source: string }[];
    };
    return ['profile', 'role'].map((name) => {
      const found = settings.find((each) => each.name === name);
      return [found?.value, found?.source];
    });
  };
  const AWS_PROFILE = 'shell';
  assert.deepEqual(await shown('10.1.0.1', { AWS_PROFILE }), [
    ['research', `${file}:5`],
    [role, `${file}:3`],
  ]);
  assert.deepEqual(await shown('10.2.0.1', { AWS_PROFILE }), [
    [AWS_PROFILE, 'AWS_PROFILE'],
    ['none', `${file}:6`],
  ]);
  assert.deepEqual(await shown('10.3.0.1', {}), [
    ['usual', `${file}:2`],
    [role, `${file}:3`],
  ]);
  const key = { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', SSM_PROXY_ROLE: 'none', AWS_PROFILE };
  assert.deepEqual(await shown('10.3.0.1', key), [
    [null, 'AWS_ACCESS_KEY_ID'],
    ['none', 'SSM_PROXY_ROLE'],
  ]);
});

test('the JSON has the same, and null for what nobody set', async () => {
  const { status, stdout } = await run(['config', '--json'], { AWS_DEFAULT_REGION: 'us-west-2' });
  assert.equal(status, 0);
  const facts = JSON.parse(stdout) as {
    readonly file: null;
    readonly settings: readonly { readonly name: string }[];
  };
  assert.equal(facts.file, null);
  const setting = (name: string): unknown => facts.settings.find((each) => each.name === name);
  assert.deepEqual(setting('region'), {
    name: 'region',
    value: 'us-west-2',
    kind: 'aws',
    source: 'AWS_DEFAULT_REGION',
  });
  assert.deepEqual(setting('vpc'), { name: 'vpc', value: null, kind: 'default', source: null });
});

test('connect takes region, endpoint and credentials from the file', async () => {
  const { accessKeyId, secretAccessKey } = emulator.facts.credentials;
  home.write(
    '.aws/credentials',
    `[demo]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
  );
  home.write(
    CONFIG,
    `defaults: { quiet: true }\nhosts:\n  - match: 10.0.0.0/16\n    profile: demo\n    region: us-east-1\n    endpoint-url: ${emulator.facts.endpoint}\n`,
  );
  const { status, stdout, stderr } = await run(['connect', '10.0.1.10']);
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /^SSH-2\.0-/);
  const elsewhere = await run(['connect', '10.7.1.10']);
  assert.match(elsewhere.stderr, /\[REGION_MISSING\]|\[TARGET_NOT_FOUND\]/);
});

for (const args of [['connect', 'x'], ['resolve', 'x'], ['sessions'], ['config', 'show']]) {
  test(`a file that cannot be used ends ${args.join(' ')} with its line`, async () => {
    const file = home.write(CONFIG, 'defaults:\n  regoin: us-east-1\n');
    const { status, stdout, stderr } = await run(args);
    assert.deepEqual([status, stdout], [78, '']);
    assert.ok(
      stderr.startsWith(`ssm-proxy: ${file}:2: there is no option "regoin" to set [CONFIG_INVALID]\n`),
      stderr,
    );
  });
}

test('a file that everybody may write ends connect; help and the version need none', async () => {
  const file = home.write(CONFIG, 'defaults: {}\n');
  chmodSync(file, 0o666);
  const { status, stderr } = await run(['connect', 'x']);
  assert.equal(status, 78);
  assert.match(stderr, /every user may write it \[CONFIG_INVALID\]\nssm-proxy: chmod o-w /);
  assert.equal((await run(['connect', '--help'])).status, 0);
  assert.equal((await run(['--version'])).status, 0);
});

test('a config file in the working directory is not looked at', async () => {
  home.write('config.yaml', 'nonsense: 1\n');
  home.write('ssm-proxy/config.yaml', 'nonsense: 1\n');
  home.write('relative/ssm-proxy/config.yaml', 'nonsense: 1\n');
  home.write('.ssm-proxy.yaml', 'nonsense: 1\n');
  const elsewhere = home.write('home/none', '').replace(/\/none$/, '');
  const env = { XDG_CONFIG_HOME: 'relative', HOME: elsewhere };
  const { status, stdout } = await run(['config', 'show'], env, home.directory);
  assert.equal(status, 0);
  assert.match(stdout, /^File {2}.*\/home\/\.config\/ssm-proxy\/config\.yaml \(not there\)\n/);
});
