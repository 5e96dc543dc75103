/** `ssm-proxy resolve` against the emulator, both as processes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { runCli } from '../support/cli.ts';
import type { CliResult } from '../support/cli.ts';
import { startEmulatorProcess } from '../support/emulator-process.ts';
import type { EmulatorProcess } from '../support/emulator-process.ts';

let emulator: EmulatorProcess;

before(async () => {
  emulator = await startEmulatorProcess(['--nodes', '2']);
});
after(() => emulator.stop());

function resolve(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliResult> {
  return runCli(['resolve', ...args], { env: { ...emulator.env, ...env } });
}

/** Changes the emulated account. */
async function control(method: string, path: string, body: unknown): Promise<void> {
  const response = await fetch(`${emulator.facts.control}${path}`, { method, body: JSON.stringify(body) });
  assert.equal(response.status, 200, await response.text());
}

interface Resolved {
  readonly instanceId: string;
  readonly vpcName: string | null;
  readonly state: string;
  readonly ssm: { readonly status: string };
}

test('every name of an instance resolves to the same facts', async () => {
  const [head] = emulator.facts.instances;
  assert.ok(head !== undefined);
  for (const target of [head.privateIp, head.name, head.instanceId, 'ip-10-0-1-10.ec2.internal']) {
    const { status, stdout, stderr } = await resolve([target, '--json']);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, target);
    const { launchTime, ssm, vpcId, ...facts } = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual(facts, {
      schema: 1,
      target,
      instanceId: head.instanceId,
      name: head.name,
      privateIp: head.privateIp,
      publicIp: null,
      ipv6: null,
      region: 'us-east-1',
      vpcName: 'demo',
      state: 'running',
    });
    assert.match(String(vpcId), /^vpc-/);
    assert.ok(!Number.isNaN(Date.parse(String(launchTime))));
    const { agentVersion, lastPing, ...agent } = ssm as Record<string, unknown>;
    assert.deepEqual(agent, { status: 'online', platform: 'Linux' });
    assert.match(String(agentVersion), /^3\./);
    assert.ok(!Number.isNaN(Date.parse(String(lastPing))));
    assert.equal(stdout.indexOf('\n'), stdout.length - 1, 'one line');
  }
});

test('for people it prints one fact per line', async () => {
  const [head] = emulator.facts.instances;
  const { stdout } = await resolve(['10.0.1.10']);
  assert.match(stdout, new RegExp(`^Instance    ${head?.instanceId}$`, 'm'));
  assert.match(stdout, /^Private IP  10\.0\.1\.10$/m);
  assert.match(stdout, /^VPC         vpc-\w+ \(demo\)$/m);
  assert.match(stdout, /^State       running, launched /m);
  assert.match(stdout, /^SSM         online, agent 3\./m);
});

test('an agent that is not there is told, not hidden', async () => {
  const worker = emulator.facts.instances[1];
  await control('PATCH', `instances/${worker?.instanceId}`, { agentOnline: false });
  try {
    const { status, stdout } = await resolve(['10.0.1.11', '--json']);
    assert.equal(status, 0);
    assert.notEqual((JSON.parse(stdout) as Resolved).ssm.status, 'online');
  } finally {
    await control('PATCH', `instances/${worker?.instanceId}`, { agentOnline: true });
  }
});

test('an ID resolves without the right to describe instances, as far as SSM knows it', async () => {
  const [head] = emulator.facts.instances;
  const { accessKeyId } = emulator.facts.credentials;
  await control('PATCH', `identities/${accessKeyId}`, { denied: ['ec2:DescribeInstances'] });
  try {
    const { status, stdout } = await resolve([head?.instanceId ?? '', '--json']);
    assert.equal(status, 0);
    const facts = JSON.parse(stdout) as Resolved;
    assert.deepEqual(
      [facts.instanceId, facts.state, facts.ssm.status],
      [head?.instanceId, 'unknown', 'online'],
    );
    const denied = await resolve(['10.0.1.10']);
    assert.equal(denied.status, 77);
    assert.match(denied.stderr, /^ssm-proxy: .*DescribeInstances.* \[ACCESS_DENIED\]$/m);
  } finally {
    await control('PATCH', `identities/${accessKeyId}`, { denied: [] });
  }
});

for (const [name, args, status, code] of [
  ['nothing has the address', ['10.9.9.9'], 68, 'TARGET_NOT_FOUND'],
  ['nothing has the ID', ['i-00000000000000000'], 68, 'TARGET_NOT_FOUND'],
  ['nothing has the tag', ['10.0.1.10', '--tag', 'team=none'], 68, 'TARGET_NOT_FOUND'],
  ['the target is no target', ['10.0.1'], 2, 'TARGET_INVALID'],
] as const) {
  test(`${name}: exit status ${status}`, async () => {
    const result = await resolve(args);
    assert.deepEqual([result.status, result.stdout], [status, '']);
    assert.match(result.stderr, new RegExp(`^ssm-proxy: .* \\[${code}\\]$`, 'm'));
  });
}

test('several instances with one name are listed, and a tag chooses', async () => {
  for (const [instanceId, role] of [
    ['i-0000000000000000a', 'one'],
    ['i-0000000000000000b', 'two'],
  ] as const) {
    const tags = { role };
    await control('POST', 'instances', { instanceId, name: 'twin', privateIp: '10.0.9.9', tags });
  }
  const both = await resolve(['twin']);
  assert.equal(both.status, 68);
  assert.match(both.stderr, /\[TARGET_AMBIGUOUS\]/);
  for (const id of ['i-0000000000000000a', 'i-0000000000000000b']) assert.ok(both.stderr.includes(id), id);
  for (const line of both.stderr.trimEnd().split('\n')) assert.match(line, /^ssm-proxy: /);
  const { stdout } = await resolve(['twin', '--tag', 'role=two', '--json']);
  assert.equal((JSON.parse(stdout) as Resolved).instanceId, 'i-0000000000000000b');
});

test('without a region it says so', async () => {
  const result = await resolve(['10.0.1.10'], { AWS_REGION: '', AWS_EC2_METADATA_DISABLED: 'true' });
  assert.equal(result.status, 78);
  assert.match(result.stderr, /\[REGION_MISSING\]/);
});

test('options win over SSM_PROXY variables, and those over the variables of AWS', async () => {
  const env = { AWS_ENDPOINT_URL: 'http://127.0.0.1:1', SSM_PROXY_ENDPOINT_URL: emulator.facts.endpoint };
  assert.equal((await resolve(['10.0.1.10'], env)).status, 0);
  const args = ['10.0.1.10', '--endpoint-url', emulator.facts.endpoint];
  assert.equal((await resolve(args, { SSM_PROXY_ENDPOINT_URL: 'http://127.0.0.1:1' })).status, 0);
});
