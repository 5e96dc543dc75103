/** `ssm-proxy emulator` as launchers and people use it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { bareEnvironment, runCli, spawnCli } from '../support/cli.ts';
import { startEmulatorProcess } from '../support/emulator-process.ts';
import type { EmulatorProcess } from '../support/emulator-process.ts';
import { findProgram } from '../support/programs.ts';

const noSsh = findProgram('ssh') === undefined && 'there is no ssh';
let emulator: EmulatorProcess;

before(async () => {
  emulator = await startEmulatorProcess(['--nodes', '2']);
});
after(() => emulator.stop());

test('--json prints one line with the keys that launchers read', () => {
  const { facts } = emulator;
  assert.deepEqual(Object.keys(facts), [
    'endpoint',
    'region',
    'credentials',
    'caFile',
    'control',
    'instances',
    'sshConfig',
  ]);
  assert.match(facts.endpoint, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(facts.region, 'us-east-1');
  assert.equal(facts.caFile, null);
  assert.deepEqual(Object.keys(facts.credentials), ['accessKeyId', 'secretAccessKey']);
  assert.equal(facts.instances.length, 2);
  for (const instance of facts.instances) {
    assert.match(instance.instanceId, /^i-[0-9a-f]{17}$/);
    assert.match(instance.privateIp, /^10\./);
    assert.ok(existsSync(instance.identityFile ?? ''), 'the key file exists');
    assert.ok(instance.sshPort > 0);
  }
});

test('its files are for their owner only', () => {
  const { sshConfig, instances } = emulator.facts;
  const mode = (path: string): number => statSync(path).mode & 0o777;
  assert.equal(mode(dirname(sshConfig)), 0o700);
  assert.equal(mode(sshConfig), 0o600);
  assert.equal(mode(instances[0]?.identityFile ?? ''), 0o600);
});

test('no secret is in the ssh config, which puts its lines on command lines', () => {
  const text = readFileSync(emulator.facts.sshConfig, 'utf8');
  assert.ok(!text.includes(emulator.facts.credentials.secretAccessKey));
});

test('the ssh config works whatever AWS account the terminal is set up for', { skip: noSsh }, async () => {
  const env = {
    ...bareEnvironment,
    AWS_PROFILE: 'production',
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'wrong',
    AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
    AWS_ENDPOINT_URL_SSMMESSAGES: 'http://127.0.0.1:1',
    AWS_USE_FIPS_ENDPOINT: 'true',
    HTTPS_PROXY: 'http://127.0.0.1:1',
    HTTP_PROXY: 'http://127.0.0.1:1',
    SSM_PROXY_VPC: 'vpc-0000',
    SSM_PROXY_SSMMESSAGES_ENDPOINT: 'http://127.0.0.1:1',
  };
  const [first] = emulator.facts.instances;
  for (const name of [first?.privateIp, first?.instanceId, first?.name]) {
    const args = ['-n', '-F', emulator.facts.sshConfig, name ?? '', 'hostname'];
    const { stdout, stderr } = await promisify(execFile)('ssh', args, { env });
    assert.deepEqual({ stdout, stderr }, { stdout: `${first?.name}\n`, stderr: '' });
  }
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test(`${signal} ends it with status 0, and its files are gone`, async () => {
    const other = await startEmulatorProcess(['--nodes', '1']);
    assert.ok(existsSync(other.facts.sshConfig));
    assert.deepEqual(await other.stop(signal), { status: 0, stderr: '' });
    assert.ok(!existsSync(dirname(other.facts.sshConfig)));
  });
}

test('a signal while it starts leaves nothing behind either', async () => {
  const child = spawnCli(['emulator', '--json']);
  child.stdin.end();
  // The first thing that it does and that can be seen from outside: it has opened its log.
  await once(child, 'spawn');
  child.kill('SIGTERM');
  let stdout = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  await once(child, 'close');
  const started = stdout === '' ? undefined : (JSON.parse(stdout) as { readonly sshConfig: string });
  assert.ok(started === undefined || !existsSync(dirname(started.sshConfig)));
});

test('without --json it says how to use it, and --tls gives an authority to trust', async () => {
  const child = spawnCli(['emulator', '--tls', '--nodes', '1', '--region', 'eu-central-1']);
  child.stdin.end();
  let stdout = '';
  for await (const data of child.stdout) {
    stdout += String(data);
    if (stdout.includes('Ctrl-C')) break;
  }
  child.kill('SIGINT');
  await once(child, 'close');
  assert.match(stdout, /^The emulator plays AWS in eu-central-1 at https:\/\/127\.0\.0\.1:\d+/);
  assert.match(stdout, /^ {2}ssh -F \S+ssh_config 10\.0\.1\.10$/m);
  assert.match(stdout, /^ {2}\. \S+env$/m);
});

test('with --tls the ssh config knows the authority', { skip: noSsh }, async () => {
  const secure = await startEmulatorProcess(['--tls', '--nodes', '1']);
  try {
    assert.ok(existsSync(secure.facts.caFile ?? ''));
    const args = ['-n', '-F', secure.facts.sshConfig, '10.0.1.10', 'hostname'];
    const { stdout, stderr } = await promisify(execFile)('ssh', args, {
      env: bareEnvironment,
    });
    assert.deepEqual({ stdout, stderr }, { stdout: `${secure.facts.instances[0]?.name}\n`, stderr: '' });
  } finally {
    await secure.stop();
  }
});

test('a port that is taken is an error in words', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const { status, stdout, stderr } = await runCli(['emulator', '--port', String(port)]);
  taken.close();
  assert.notEqual(status, 0);
  assert.equal(stdout, '');
  assert.match(stderr, new RegExp(`^ssm-proxy: .*${port}.* \\[USAGE\\]$`, 'm'));
});

for (const target of ['host', 'host:0', ':22', '[::1:22', '[host]:22', 'host:22:33']) {
  test(`--ssh-target ${target} is refused`, async () => {
    const { status, stderr } = await runCli(['emulator', '--ssh-target', target]);
    assert.equal(status, 2);
    assert.match(stderr, /^ssm-proxy: --ssh-target .* cannot be used \[USAGE\]$/m);
  });
}

test('--region that is no region is refused', async () => {
  assert.equal((await runCli(['emulator', '--region', 'nowhere'])).status, 2);
});
