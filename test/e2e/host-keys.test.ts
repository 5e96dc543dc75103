/** `ssm-proxy host-keys` as KnownHostsCommand of real ssh, which knows no host key by itself and is to ask for none. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { generateSshKeyPair } from '../../src/emulator/node-keys.ts';
import type { Cluster } from '../support/cluster.ts';
import { FAR_ENDS, NODE, startCluster } from '../support/cluster.ts';
import type { ProgramResult } from '../support/programs.ts';
import { skipWithout } from '../support/programs.ts';
import { until } from '../support/until.ts';

const DOCUMENT = 'AWS-StartNonInteractiveCommand';
const skip = skipWithout('ssh');

let cluster: Cluster;
let block: string;
let earlier = 0;

before(async () => {
  cluster = await startCluster();
  block = (await cluster.cli(['ssh-config'])).stdout.toString();
});
after(() => cluster.close());
beforeEach(() => (earlier = readings()));
afterEach(async () => {
  cluster.reset();
  allow([]);
  await cluster.checkNothingLeft();
});

/** Sessions that have read host keys. */
function readings(): number {
  return cluster.emulator.controls.sessions().filter(({ documentName }) => documentName === DOCUMENT).length;
}

function allow(denied: readonly string[]): void {
  cluster.emulator.controls.changeIdentity(cluster.emulator.credentials.accessKeyId, { denied });
}

function denyDocument(): void {
  const message = `User is not authorized to perform: ssm:StartSession on resource: arn:aws:ssm:us-east-1::document/${DOCUMENT}`;
  const failure = { operation: 'ssm:StartSession', target: DOCUMENT, code: 'AccessDeniedException', message };
  cluster.emulator.controls.changeFaults({ api: { failures: [failure] } });
}

/** ssh with what `ssh-config` prints, and options that come before it. */
async function ssh(
  host: string,
  ...options: readonly string[]
): Promise<ProgramResult & { readonly text: string }> {
  const node = cluster.emulator.instances.find(({ privateIp }) => privateIp === host);
  const file = join(cluster.directory, 'strict_config');
  const lines = [
    `User ${node?.user ?? 'ubuntu'}`,
    `IdentityFile "${node?.identityFile ?? cluster.emulator.instances[1]?.identityFile ?? ''}"`,
    'IdentitiesOnly yes',
    'IdentityAgent none',
    'BatchMode yes',
    'GlobalKnownHostsFile /dev/null',
    block,
    'Host *',
    `    UserKnownHostsFile "${join(cluster.directory, 'no_known_hosts')}"`,
    '    StrictHostKeyChecking yes',
    '',
  ];
  writeFileSync(file, lines.join('\n'));
  const given = options.flatMap((option) => ['-o', option]);
  const result = await cluster.run('ssh', ['-F', file, ...given, host, 'echo reached']);
  return { ...result, text: result.stdout.toString() };
}

async function hostKeys(
  ...args: readonly string[]
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const { status, stdout, stderr } = await cluster.cli(['host-keys', ...args]);
  return { status, stdout: stdout.toString(), stderr };
}

/** The host key of a node, as a line for it. */
function lineFor(host: string, instanceId = cluster.instanceId(host)): string {
  const state = cluster.emulator.controls.state().instances.find((each) => each.instanceId === instanceId);
  const [type, base64] = state?.hostKeys[0]?.split(' ') ?? [];
  return `${host} ${type ?? ''} ${base64 ?? ''}\n`;
}

/** Makes what is kept so much older. */
function age(ms: number): void {
  const folder = join(cluster.env['XDG_RUNTIME_DIR'] ?? '', 'ssm-proxy', 'host-keys');
  for (const name of readdirSync(folder)) {
    const text = readFileSync(join(folder, name), 'utf8');
    const older = text.replace(
      /("at(?:Ms)?":)(\d+)/g,
      (_all, field: string, at: string) => `${field}${Number(at) - ms}`,
    );
    writeFileSync(join(folder, name), older);
  }
}

const REFUSED = /Host key verification failed\.\s*$/;

describe('with StrictHostKeyChecking and no known host', { skip }, () => {
  for (const { name, host, skip: noFarEnd } of FAR_ENDS) {
    test(
      `ssh connects to ${name} without a word, and the keys are read once for all`,
      { skip: noFarEnd },
      async () => {
        for (const connection of ['first', 'second']) {
          const { status, text, stderr } = await ssh(host);
          assert.deepEqual([status, text, stderr], [0, 'reached\n', ''], connection);
          assert.equal(readings() - earlier, 1, connection);
        }
        const { status, stdout, stderr } = await hostKeys(host);
        assert.deepEqual([status, stdout, stderr], [0, lineFor(host), '']);
      },
    );
  }

  test('a server with another key is refused, although its kept keys are read again for it', async () => {
    assert.equal((await ssh(NODE)).status, 0);
    const port = (host: string): number =>
      cluster.emulator.instances.find(({ privateIp }) => privateIp === host)?.sshPort ?? 0;
    const dial = (host: string) => ({ dial: { '22': { host: '127.0.0.1', port: port(host) } } });
    age(60_000);
    cluster.emulator.controls.changeInstance(cluster.instanceId(NODE), dial('10.0.1.12'));
    try {
      const { status, text, stderr } = await ssh(NODE);
      assert.deepEqual([status, text], [255, '']);
      assert.match(stderr, /REMOTE HOST IDENTIFICATION HAS CHANGED/);
      assert.match(stderr, REFUSED);
      assert.equal(readings() - earlier, 2);
      // Nor is it an unknown one when nothing can be read.
      age(60_000);
      denyDocument();
      allow(['ec2:GetConsoleOutput']);
      assert.match((await ssh(NODE)).stderr, /REMOTE HOST IDENTIFICATION HAS CHANGED/);
    } finally {
      cluster.emulator.controls.changeInstance(cluster.instanceId(NODE), dial(NODE));
    }
  });

  test('a node whose keys were made anew is believed as soon as it shows one of them', async () => {
    const [, type = '', base64 = ''] = lineFor(NODE).trimEnd().split(' ');
    const { publicKey } = generateSshKeyPair('before');
    cluster.emulator.controls.changeInstance(cluster.instanceId(NODE), { hostKeys: [publicKey] });
    assert.match((await ssh(NODE)).stderr, REFUSED);
    cluster.emulator.controls.changeInstance(cluster.instanceId(NODE), {
      hostKeys: [`${type} ${base64}`],
    });
    age(60_000);
    const { status, stderr } = await ssh(NODE);
    assert.deepEqual([status, stderr], [0, '']);
  });

  test('another instance with the same address has its own keys, and the old ones are not believed', async () => {
    const ip = '10.0.1.77';
    const { controls } = cluster.emulator;
    const first = await controls.addInstance({ name: 'first', privateIp: ip });
    assert.deepEqual([(await ssh(ip)).stderr], ['']);
    const old = lineFor(ip, first.instanceId);
    controls.removeInstance(first.instanceId);
    const second = await controls.addInstance({ name: 'second', privateIp: ip });
    try {
      const { status, text, stderr } = await ssh(ip);
      assert.deepEqual([status, text, stderr], [0, 'reached\n', '']);
      const { stdout } = await hostKeys(ip);
      assert.equal(stdout, lineFor(ip, second.instanceId));
      assert.notEqual(stdout, old);
    } finally {
      controls.removeInstance(second.instanceId);
    }
  });

  test('without the session document they come from the console', async () => {
    denyDocument();
    const { status, stderr } = await ssh(NODE);
    assert.deepEqual([status, stderr], [0, '']);
    const { stdout } = await hostKeys(NODE, '--json');
    assert.deepEqual((JSON.parse(stdout) as { source: string }).source, 'console');
  });

  test('with neither ssh refuses, and is told why once', async () => {
    denyDocument();
    allow(['ec2:GetConsoleOutput']);
    const first = await ssh(NODE);
    assert.equal(first.status, 255);
    assert.match(first.stderr, REFUSED);
    const notices = (text: string): readonly string[] =>
      text.split('\n').filter((line) => line.startsWith('ssm-proxy'));
    assert.equal(notices(first.stderr).length, 1, first.stderr);
    assert.match(
      first.stderr,
      /^ssm-proxy: no host keys of 10\.0\.1\.11: not over a session \(.*\), nor from the console \(.*\) \[ACCESS_DENIED\]$/m,
    );
    assert.deepEqual(notices((await ssh(NODE)).stderr), []);
    const { status, stdout, stderr } = await hostKeys(NODE, '--json');
    assert.deepEqual([status, stdout], [77, '']);
    assert.match(stderr, /\[ACCESS_DENIED\]$/m);
  });

  test('the options of SkyPilot work as before, and nothing is read for them', async () => {
    const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR'];
    const { status, text, stderr } = await ssh(NODE, ...options);
    assert.deepEqual([status, text, stderr, readings() - earlier], [0, 'reached\n', '', 0]);
  });
});

test('a signal while the keys are read ends the session too', async () => {
  cluster.emulator.controls.changeBehaviour({ handshakeDelayMs: 5_000 }, cluster.instanceId(NODE));
  const program = cluster.startCli(['host-keys', NODE]);
  await until('a session has been started', () => readings() > earlier);
  program.child.kill('SIGTERM');
  const { status, stdout } = await program.finished;
  assert.deepEqual([status, stdout.toString()], [143, '']);
});

test('several at once: one reads', async () => {
  const answers = await Promise.all(Array.from({ length: 4 }, () => hostKeys(NODE)));
  for (const { status, stdout, stderr } of answers) {
    assert.deepEqual([status, stdout, stderr], [0, lineFor(NODE), '']);
  }
  assert.equal(readings() - earlier, 1);
});

test('an ID, another port, a refresh', async () => {
  const id = cluster.instanceId(NODE);
  assert.equal((await hostKeys(id)).stdout, lineFor(id, id));
  assert.equal((await hostKeys(NODE, '2222')).stdout, lineFor(`[${NODE}]:2222`, id));
  assert.equal((await hostKeys(`[${NODE}]:2222`)).stdout, lineFor(`[${NODE}]:2222`, id));
  assert.equal(readings() - earlier, 1);
  const [, other = ''] = generateSshKeyPair('container').publicKey.split(' ');
  assert.equal((await hostKeys(NODE, '2222', '--offered', other)).stdout, '');
  assert.equal((await hostKeys(NODE, '--offered', 'NONE')).stdout, lineFor(NODE));
  assert.equal(readings() - earlier, 1);
  assert.equal((await hostKeys(NODE, '--refresh')).stdout, lineFor(NODE));
  assert.equal(readings() - earlier, 2);
});

test('as JSON: where the keys are from, and their fingerprints', async () => {
  const { status, stdout, stderr } = await hostKeys(NODE, '--json');
  assert.deepEqual([status, stderr], [0, '']);
  const { keys, readAt, ...facts } = JSON.parse(stdout) as Record<string, unknown> & {
    keys: readonly object[];
  };
  const [, type, key] = lineFor(NODE).trimEnd().split(' ');
  const id = cluster.instanceId(NODE);
  assert.deepEqual(facts, { schema: 1, host: NODE, instanceId: id, region: 'us-east-1', source: 'session' });
  assert.ok(Math.abs(Date.parse(String(readAt)) - Date.now()) < 60_000);
  const [{ fingerprint, ...rest } = {} as Record<string, unknown>] = keys as readonly Record<
    string,
    unknown
  >[];
  assert.deepEqual(rest, { type, key });
  assert.match(String(fingerprint), /^SHA256:[\w+/]{43}$/);
});

test('what ssm-proxy does not handle gets no answer, and no complaint', async () => {
  for (const host of ['github.example', '10.9.9.9', '*.example', 'a,b']) {
    assert.deepEqual(await hostKeys(host), { status: 0, stdout: '', stderr: '' }, host);
  }
});

test('what a node prints besides keys, or in their place, is not passed on', async () => {
  const [type = '', base64 = ''] = lineFor(NODE).trimEnd().split(' ').slice(1);
  const wrong = [`* ${type} ${base64.slice(0, -8)}`, `${type} not-base64`, `@cert-authority * ${type} AAAA`];
  cluster.emulator.controls.changeInstance(cluster.instanceId(NODE), {
    consoleOutput: [
      '-----BEGIN SSH HOST KEY KEYS-----',
      ...wrong,
      `[ 1.0] ci-info: ${type} ${base64} root@\u001b[2J`,
      '-----END SSH HOST KEY KEYS-----',
    ].join('\r\n'),
  });
  denyDocument();
  assert.equal((await hostKeys(NODE)).stdout, lineFor(NODE));
});
