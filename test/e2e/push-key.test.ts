/** `connect --push-key`: real ssh logs in with a key that the node does not know until it is pushed. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { generateSshKeyPair } from '../../src/emulator/node-keys.ts';
import type { Cluster } from '../support/cluster.ts';
import { FAR_ENDS, NODE, startCluster } from '../support/cluster.ts';
import { failureOf, statusOf } from '../support/failure.ts';
import type { Program, ProgramResult } from '../support/programs.ts';
import { skipWithout } from '../support/programs.ts';
import { until } from '../support/until.ts';

const ACTION = 'ec2-instance-connect:SendSSHPublicKey';
const MANAGED = 'mi-00000000000000a09';

let cluster: Cluster;
/** Private keys that no node knows; their public halves are beside them. */
let key: string;
let otherKey: string;

before(async () => {
  cluster = await startCluster({ nodes: 2 });
  key = writeKey('id_new');
  otherKey = writeKey('id_other');
});
after(() => cluster.close());
afterEach(async () => {
  const { controls } = cluster.emulator;
  controls.changeIdentity(cluster.emulator.credentials.accessKeyId, { denied: [] });
  await forgetKeys();
  cluster.reset();
  await cluster.checkNothingLeft();
});

function writeKey(name: string): string {
  const { privateKey, publicKey } = generateSshKeyPair(name);
  const path = join(cluster.directory, name);
  writeFileSync(path, privateKey, { mode: 0o600 });
  writeFileSync(`${path}.pub`, `${publicKey}\n`);
  return path;
}

const pushes = (): number => cluster.emulator.controls.state().calls[ACTION]?.calls ?? 0;

/** A minute of the service's time passes at once. */
async function forgetKeys(): Promise<void> {
  const { controls } = cluster.emulator;
  controls.setClock({ speed: 10_000 });
  await until('no key is left', () => controls.state().pushedKeys.length === 0);
  controls.setClock({ speed: 1 });
}

interface Login {
  readonly host?: string;
  /** Options of `connect`. */
  readonly options?: string;
  /** Lines of ssh_config. */
  readonly config?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** `ssh <host> echo in`, with nothing of the usual config that would let it in. */
function logIn({ host = NODE, options = '', config = [], env = {} }: Login): Promise<ProgramResult> {
  const found = cluster.emulator.instances.find(({ privateIp }) => privateIp === host);
  const file = join(cluster.directory, 'own_config');
  const [node, program] = cluster.cliCommand;
  const lines = [
    'Host *',
    `    User ${found?.user ?? ''}`,
    `    ProxyCommand '${node}' '${program}' connect %h %p ${options}`,
    `    UserKnownHostsFile "${join(cluster.directory, 'known_hosts')}"`,
    ...['GlobalKnownHostsFile /dev/null', 'BatchMode yes', 'PreferredAuthentications publickey'],
    ...config,
  ];
  writeFileSync(file, lines.join('\n'));
  return cluster.run('ssh', ['-F', file, host, 'echo in'], { env });
}

const identity = (): readonly string[] => [`IdentityFile "${key}"`, 'IdentityAgent none'];

function assertIn({ status, stdout, stderr }: ProgramResult): void {
  assert.deepEqual([status, stdout.toString(), stderr], [0, 'in\n', '']);
}

function assertRefused({ status, stderr }: ProgramResult): void {
  assert.equal(status, 255);
  assert.match(stderr, /Permission denied \(publickey/);
}

for (const { name, host, skip } of FAR_ENDS) {
  test(`${name}: a key that is pushed logs in, for a minute`, { skip }, async () => {
    assertRefused(await logIn({ host, config: identity() }));
    assertIn(await logIn({ host, options: `--push-key=${key} --user %r`, config: identity() }));
    // Its minute is not over.
    assertIn(await logIn({ host, config: identity() }));
    await forgetKeys();
    assertRefused(await logIn({ host, config: identity() }));
  });
}

describe('the key and the user are those of ssh', () => {
  test('its IdentityFile and User, from its config', async () => {
    assertIn(await logIn({ options: '--push-key', config: identity() }));
  });

  test('the variable does it, too, and a default file of ssh', async () => {
    const home = join(cluster.directory, 'other-home');
    mkdirSync(join(home, '.ssh'), { recursive: true });
    writeFileSync(join(home, '.ssh', 'id_ed25519.pub'), generateSshKeyPair('x').publicKey);
    const before = pushes();
    // Another key than the one that ssh has: pushed, and of no use.
    const env = { SSM_PROXY_PUSH_KEY: '1', HOME: home };
    assertRefused(await logIn({ config: ['IdentityAgent none'], env }));
    assert.equal(pushes() - before, 1);
  });

  test('--user for somebody else is of no use to this one', async () => {
    assertRefused(await logIn({ options: `--push-key=${key} --user somebody`, config: identity() }));
  });
});

describe('with an ssh-agent', { skip: skipWithout('ssh-agent', 'ssh-add') }, () => {
  let agent: Program;
  let env: Readonly<Record<string, string>>;
  before(async () => {
    const directory = join(cluster.directory, 'agent');
    mkdirSync(directory, { mode: 0o700 });
    chmodSync(directory, 0o700);
    const socket = join(directory, 's');
    env = { SSH_AUTH_SOCK: socket };
    agent = cluster.start('ssh-agent', ['-D', '-a', socket]);
    await until('the agent listens', () => agent.outputSoFar().includes(socket));
  });
  after(async () => {
    agent.child.kill('SIGTERM');
    await agent.finished;
  });
  const keys = async (): Promise<string> => (await cluster.run('ssh-add', ['-L'], { env })).stdout.toString();

  // One test: the agent is what ties its steps together, and it counts as left while it runs.
  test('its first key is pushed; --push-key=fresh makes one that goes by itself', async () => {
    assert.equal((await cluster.run('ssh-add', ['-q', otherKey], { env })).status, 0);
    assertIn(await logIn({ options: '--push-key', env }));
    await cluster.run('ssh-add', ['-qD'], { env });
    await forgetKeys();
    assertIn(await logIn({ options: '--push-key=fresh', env }));
    assert.match(await keys(), /^ssh-ed25519 \S+ ssm-proxy, for one login\n$/);
    // The key itself is nowhere but in the agent.
    await cluster.run('ssh-add', ['-qD'], { env });
    assertRefused(await logIn({ env }));
    agent.child.kill('SIGTERM');
    await agent.finished;
  });
});

describe('failures', () => {
  const fail = async (target: string, args: readonly string[]): Promise<ReturnType<typeof failureOf>> => {
    const result = await cluster.cli(['connect', target, ...args]);
    const failure = failureOf(result);
    assert.equal(result.status, statusOf(failure.code as Parameters<typeof statusOf>[0]));
    return failure;
  };

  test('without the permission', async () => {
    const { accessKeyId } = cluster.emulator.credentials;
    cluster.emulator.controls.changeIdentity(accessKeyId, { denied: [ACTION] });
    const { code, message, hint } = await fail(NODE, [`--push-key=${key}`]);
    assert.equal(code, 'ACCESS_DENIED');
    assert.match(message, /when calling the SendSSHPublicKey operation/);
    assert.match(
      hint,
      /^allow ec2-instance-connect:SendSSHPublicKey on arn:aws:ec2:us-east-1:\d+:instance\/i-/,
    );
  });

  for (const [what, args, message, hint] of [
    ['a file that is not there', ['--push-key=/none/id'], /no public key in \/none\/id or/, /ssh-keygen -y/],
    ['no key anywhere', ['--push-key'], /no public key to push/, /--push-key=FILE/],
    ['fresh without an agent', ['--push-key=fresh'], /needs an ssh-agent/, /ssh-agent/],
  ] as const) {
    test(what, async () => {
      const failure = await fail(NODE, args);
      assert.equal(failure.code, 'KEY_MISSING');
      assert.match(failure.message, message);
      assert.match(failure.hint, hint);
    });
  }

  test('a user name that the service does not take', async () => {
    const { code, hint } = await fail(NODE, [`--push-key=${key}`, '--user', '-x y'.slice(1)]);
    assert.equal(code, 'SERVICE_ERROR');
    assert.match(hint, /check --user/);
  });

  test('a machine that is not an EC2 instance', async () => {
    const dial = { '22': { host: '127.0.0.1', port: cluster.emulator.instances[1]?.sshPort ?? 0 } };
    await cluster.emulator.controls.addInstance({ instanceId: MANAGED, privateIp: '10.6.0.9', dial });
    assert.equal((await fail(MANAGED, [`--push-key=${key}`])).code, 'TARGET_INVALID');
  });

  test('throttling is waited out', async () => {
    const failure = {
      ...{ operation: ACTION, times: 1, kind: 'error' as const, code: 'ThrottlingException' },
      ...{ message: 'Slow down', status: 429 },
    };
    cluster.emulator.controls.changeFaults({ api: { failures: [failure] } });
    const before = pushes();
    assertIn(await logIn({ options: `--push-key=${key} --user %r`, config: identity() }));
    assert.equal(pushes() - before, 2);
  });
});
