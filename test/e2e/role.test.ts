/** `--role`: a role that is assumed before anything else, kept between runs, and never used for somebody else. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { NODE, startCluster } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';

const ROLE = 'arn:aws:iam::111122223333:role/ssh';
let cluster: Cluster;
let home: string;

before(async () => {
  cluster = await startCluster({ nodes: 2, withSshd: false });
  home = join(cluster.directory, 'person');
  mkdirSync(join(home, '.config', 'ssm-proxy'), { recursive: true });
});
after(() => cluster.close());
afterEach(async () => {
  cluster.reset();
  allow([]);
  await cluster.checkNothingLeft();
});

function allow(denied: readonly string[]): void {
  cluster.emulator.controls.changeIdentity(cluster.emulator.credentials.accessKeyId, { denied });
}

const assumed = (): number => cluster.emulator.controls.state().calls['sts:AssumeRole']?.calls ?? 0;

function connect(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return cluster.cli(['connect', ...args, NODE], { env: { HOME: home, ...env } });
}

test('every call is made by the role, which is assumed once and kept privately', async () => {
  allow(['ssm:*', 'ec2:*']);
  const before = assumed();
  for (const args of [['--role', ROLE], [`--role=${ROLE}`]]) {
    const { status, stdout, stderr } = await connect(args);
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout.toString(), /^SSH-2\.0-/);
  }
  assert.equal(assumed() - before, 1);
  const [session] = cluster.emulator.controls.sessions();
  assert.match(session?.sessionId ?? '', /^ssm-proxy-[\w+=,.@-]+-[0-9a-z]{17,}$/);
  const folder = join(home, '.aws', 'cli', 'cache');
  const [file = ''] = readdirSync(folder);
  assert.equal(statSync(join(folder, file)).mode & 0o077, 0);
  assert.match(readFileSync(join(folder, file), 'utf8'), /"Credentials"/);
});

test('the config file gives hosts a role, and none takes it away', async () => {
  allow(['ssm:*', 'ec2:*']);
  const file = join(home, '.config', 'ssm-proxy', 'config.yaml');
  writeFileSync(file, `hosts:\n  - { match: 10.0.*, role: "${ROLE}" }\n`, { mode: 0o600 });
  assert.equal((await connect([])).status, 0);
  const without = await connect([], { SSM_PROXY_ROLE: 'none' });
  assert.equal(without.status, 77);
  assert.match(without.stderr, /\[ACCESS_DENIED\]/);
  writeFileSync(file, '');
});

test('a role that was kept is nothing to other credentials', async () => {
  const { accessKeyId, secretAccessKey } = cluster.emulator.controls.addIdentity({
    userName: 'other',
    denied: ['sts:AssumeRole'],
  });
  const before = assumed();
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const { status, stderr } = await connect(['--role', ROLE], env);
  assert.equal(status, 77);
  assert.match(
    stderr,
    /\(AccessDenied\) when calling the AssumeRole operation: .*sts:AssumeRole on resource: arn:aws:iam::111122223333:role\/ssh.* \[ACCESS_DENIED\]\nssm-proxy: allow sts:AssumeRole on arn/,
  );
  assert.equal(assumed() - before, 1);
});

test('what is no ARN is refused before anybody is asked', async () => {
  const before = assumed();
  const { status, stderr } = await connect(['--role', 'ssh']);
  assert.equal(status, 2);
  assert.match(stderr, /"ssh" is not the ARN of a role \[USAGE\]\nssm-proxy: give it whole: arn:aws:iam::/);
  assert.equal(assumed(), before);
});
