/** The built program on its own: help, version, and command lines that cannot be used. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageFacts, projectRoot, runCli, spawnCli } from '../support/cli.ts';
import { assertGolden } from '../support/golden.ts';

const golden = (name: string): string => join(projectRoot, 'test', 'e2e', 'golden', name);

for (const [name, args] of [
  ['help.txt', ['--help']],
  ['help-connect.txt', ['connect', '--help']],
  ['help-resolve.txt', ['resolve', '--help']],
  ['help-wait.txt', ['wait', '--help']],
  ['help-shell.txt', ['shell', '--help']],
  ['help-exec.txt', ['exec', '--help']],
  ['help-list.txt', ['list', '--help']],
  ['help-check.txt', ['check', '--help']],
  ['help-host-keys.txt', ['host-keys', '--help']],
  ['help-sessions.txt', ['sessions', '--help']],
  ['help-config.txt', ['config', '--help']],
  ['help-login.txt', ['login', '--help']],
  ['help-logout.txt', ['logout', '--help']],
  ['help-ssh-config.txt', ['ssh-config', '--help']],
  ['help-skypilot.txt', ['skypilot', '--help']],
  ['help-plugin.txt', ['plugin', '--help']],
  ['help-policy.txt', ['policy', '--help']],
  ['help-emulator.txt', ['emulator', '--help']],
  ['help-completion.txt', ['completion', '--help']],
] as const) {
  test(`ssm-proxy ${args.join(' ')} prints ${name} and nothing else`, async () => {
    const { status, stdout, stderr } = await runCli(args);
    assert.deepEqual([status, stderr], [0, '']);
    assertGolden(golden(name), stdout);
  });
}

test('help is in English and the same in any locale and terminal', async () => {
  const env = { LANG: 'de_DE.UTF-8', LC_ALL: 'de_DE.UTF-8', COLUMNS: '40', TERM: 'dumb' };
  assertGolden(golden('help.txt'), (await runCli(['--help'], { env })).stdout);
});

test('--version prints the version of the package', async () => {
  const { status, stdout, stderr } = await runCli(['--version']);
  assert.deepEqual(
    { status, stdout, stderr },
    { status: 0, stdout: `${packageFacts().version}\n`, stderr: '' },
  );
});

test('--version --json says what a bug report needs', async () => {
  const { stdout } = await runCli(['--version', '--json']);
  assert.deepEqual(JSON.parse(stdout), {
    schema: 1,
    name: 'ssm-proxy',
    version: packageFacts().version,
    node: process.versions.node,
    platform: process.platform,
    arch: process.arch,
  });
});

for (const [args, message] of [
  [[], 'no command is given'],
  [['frobnicate'], 'there is no command "frobnicate"'],
  [['connect'], 'the target is missing'],
  [['connect', ''], 'the target is empty'],
  [['connect', 'host', '0'], '"0" is not a port'],
  [['connect', 'host', '65536'], '"65536" is not a port'],
  [['connect', 'host:99999'], '"99999" is not a port'],
  [['connect', 'host', '22', 'extra'], 'connect takes no argument "extra"'],
  [['connect', 'host', '--bad'], 'there is no option --bad'],
  [['connect', 'host', '--region'], '--region needs a value'],
  [['connect', 'host', '--connect-timeout', 'soon'], '--connect-timeout "soon" cannot be used'],
  [['connect', 'host', '--pace', 'fast'], '--pace "fast" cannot be used'],
  [['connect', 'host', '--tag', 'team'], '--tag "team" cannot be used'],
  [['resolve'], 'the target is missing'],
  [['resolve', 'a', 'b'], 'resolve takes no argument "b"'],
  [['sessions', 'kill'], 'sessions has no action "kill"'],
  [['sessions', 'end'], 'it is not said which sessions to end'],
  [['policy', 'all'], 'there is no policy for "all"'],
  [['policy', 'node', '--tag', 'a=b'], 'the policy of a node cannot be narrowed'],
  [['policy', 'user', '--format', 'hcl'], '--format "hcl" cannot be used'],
  [['config', 'set'], 'config takes no argument "set"'],
  [['connect', 'host', '--account', '1-2'], '--account "1-2" cannot be used'],
  [['emulator', '--nodes', '0'], '--nodes "0" cannot be used'],
  [['completion'], 'one of bash, zsh, fish is missing'],
  [['completion', 'csh'], 'there is no completion for "csh"'],
  [['emulator', 'extra'], 'emulator takes no argument "extra"'],
] as const) {
  test(`ssm-proxy ${args.join(' ')} exits with 2 and says why`, async () => {
    const { status, stdout, stderr } = await runCli(args);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    const [first, hint, ...rest] = stderr.split('\n');
    assert.equal(first, `ssm-proxy: ${message} [USAGE]`);
    assert.match(hint ?? '', /^ssm-proxy: ./);
    assert.deepEqual(rest, ['']);
  });
}

test('a reader of the help that goes away early is no error', async () => {
  const child = spawnCli(['connect', '--help']);
  child.stdin.end();
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const status = await new Promise((resolve) => child.on('close', resolve));
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
});

test('closed standard streams do not make a usage error hang', async () => {
  const child = spawnCli(['connect']);
  child.stdin.destroy();
  child.stdout.destroy();
  child.stderr.destroy();
  assert.equal(await new Promise((resolve) => child.on('exit', resolve)), 2);
});
