/** `ssm-proxy skypilot check`: what stands in ~/.sky/config.yaml, what it will meet in the account, older clusters. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { startCluster } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';

let cluster: Cluster;
let home: string;
let bin: string;

before(async () => {
  cluster = await startCluster({ nodes: 1, withSshd: false });
  home = join(cluster.directory, 'person');
  bin = join(cluster.directory, 'bin');
  mkdirSync(join(home, '.sky', 'generated', 'ssh'), { recursive: true });
  mkdirSync(bin);
  writeFileSync(join(bin, 'ssm-proxy'), '#!/bin/sh\n');
  chmodSync(join(bin, 'ssm-proxy'), 0o755);
  const { controls } = cluster.emulator;
  const vpc = { region: 'us-east-1', cidrBlock: '10.7.0.0/16', isDefault: false };
  controls.addVpc({
    ...vpc,
    vpcId: 'vpc-0aaaaaaaaaaaaaaaa',
    tags: { Name: 'lab' },
    endpoints: ['ssm', 'ssmmessages'],
  });
  controls.addVpc({ ...vpc, vpcId: 'vpc-0bbbbbbbbbbbbbbbb', tags: { Name: 'bare' }, endpoints: ['ssm'] });
  controls.putNodeRole('skypilot-v1', ['arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore']);
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

interface Line {
  readonly id: string;
  readonly level: string;
  readonly seen: string;
  readonly fix: string | null;
}

async function check(config: string, env: Readonly<Record<string, string>> = {}) {
  writeFileSync(join(home, '.sky', 'config.yaml'), config);
  const PATH = `${bin}:${cluster.env['PATH'] ?? ''}`;
  const { status, stdout, stderr } = await cluster.cli(['skypilot', 'check', '--json'], {
    env: { HOME: home, PATH, ...env },
  });
  assert.equal(stderr, '');
  const { findings } = JSON.parse(stdout.toString()) as { findings: readonly Line[] };
  return {
    status,
    failed: findings.filter(({ level }) => level === 'failed').map(({ id }) => id),
    line(id: string): Line {
      const found = findings.find((each) => each.id === id);
      assert.ok(found !== undefined, `there is a line ${id}`);
      return found;
    },
  };
}

const aws = (...lines: readonly string[]): string => `aws:\n${lines.map((line) => `  ${line}\n`).join('')}`;
const GOOD = ['use_internal_ips: true', 'ssh_proxy_command: ssm-proxy connect %h %p'] as const;

test('a config that works: nothing failed, and what it stands on is shown', async () => {
  const report = await check(aws(...GOOD, 'vpc_names: [lab, bare]'));
  assert.deepEqual([report.status, report.failed], [0, []]);
  assert.equal(report.line('sky-line').seen, 'ssm-proxy connect %h %p');
  assert.match(report.line('sky-program').fix ?? '', /run: ssm-proxy skypilot config --write --absolute$/);
  assert.match(
    report.line('sky-account.way-to-ssm.us-east-1.lab').seen,
    /^vpc-0a+ has VPC endpoints for ssm and/,
  );
  const bare = report.line('sky-account.way-to-ssm.us-east-1.bare');
  assert.equal(bare.level, 'warning');
  assert.match(bare.seen, /no VPC endpoint for ssmmessages: .* a NAT, which is not looked at$/);
  assert.equal(report.line('sky-account.role').seen, 'skypilot-v1, with AmazonSSMManagedInstanceCore');
  assert.equal(report.line('permissions.ssm:StartSession').level, 'ok');
  assert.match(report.line('credentials.identity').seen, /user\/demo$/);
});

for (const [what, lines, ids, seen] of [
  ['public addresses', [GOOD[1]], ['sky-config.internal-ips'], /SkyPilot gives nodes public addresses/],
  ['no line', [GOOD[0]], ['sky-line'], /ssh_proxy_command is not set/],
  ['use_ssm beside it', [...GOOD, 'use_ssm: true'], ['sky-config.use-ssm'], /SkyPilot refuses it together/],
  [
    'the AWS CLI',
    [GOOD[0], 'ssh_proxy_command: aws ssm start-session --target x'],
    ['sky-line'],
    /needs the CLI/,
  ],
  [
    'a quote',
    [GOOD[0], `ssh_proxy_command: ssm-proxy connect '%h' %p`],
    ['sky-line'],
    /^the character ' means/,
  ],
  ['another token', [GOOD[0], 'ssh_proxy_command: ssm-proxy connect %n %p'], ['sky-line'], /it has %n:/],
  ['no port', [GOOD[0], 'ssh_proxy_command: ssm-proxy connect %h'], ['sky-line'], /words of their own/],
  [
    'a variable',
    [GOOD[0], 'ssh_proxy_command: A=b ssm-proxy connect %h %p'],
    ['sky-line'],
    /exec takes no variables/,
  ],
  [
    'a program that is gone',
    [GOOD[0], 'ssh_proxy_command: /nowhere/ssm-proxy connect %h %p'],
    ['sky-program'],
    /^\/nowhere\/ssm-proxy is not there$/,
  ],
  [
    'the region of another line',
    [GOOD[0], 'ssh_proxy_command:', '  us-east-1: ssm-proxy connect --region us-west-2 %h %p'],
    ['sky-region.us-east-1'],
    /the line for us-east-1 says --region us-west-2/,
  ],
  [
    'a VPC that is not there',
    [...GOOD, 'vpc_name: gone'],
    ['sky-account.vpc.us-east-1.gone'],
    /no VPC is named gone/,
  ],
] as const) {
  test(`${what}: failed, with what to do`, async () => {
    const report = await check(aws(...lines));
    assert.deepEqual([report.status, report.failed], [1, ids]);
    const { seen: found, fix } = report.line(ids[0]);
    assert.match(found, seen);
    assert.notEqual(fix, '');
  });
}

test('no config, one that is no YAML, a program that is not on the PATH', async () => {
  const env = { SKYPILOT_GLOBAL_CONFIG: join(home, 'none.yaml') };
  assert.match((await check('', env)).line('sky-config.file').fix ?? '', /skypilot config --write/);
  assert.deepEqual((await check('aws: [')).failed, ['sky-config.file']);
  const lost = await check(aws(...GOOD), { PATH: '/usr/bin:/bin' });
  assert.match(lost.line('sky-program').seen, /^ssm-proxy is not on the PATH$/);
});

test('profiles: that of the line is used; ssm_profile and AWS_PROFILE are not', async () => {
  mkdirSync(join(home, '.aws'), { recursive: true });
  writeFileSync(
    join(home, '.aws', 'config'),
    '[profile a]\nregion = us-east-1\n[profile b]\nregion = us-east-1\n',
  );
  const none = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };
  const bare = await check(aws(...GOOD), none);
  assert.match(bare.line('config.profile').seen, /^no profile is named and there is no default profile/);
  const named = await check(aws(GOOD[0], 'ssh_proxy_command: ssm-proxy connect --profile b %h %p'), none);
  assert.match(named.line('config.profile').seen, /^b, by --profile/);
  assert.match(
    (await check(aws(...GOOD, 'ssm_profile: a'))).line('sky-config.profile').seen,
    /only use_ssm reads/,
  );
  const ambient = (await check(aws(...GOOD), { AWS_PROFILE: 'a' })).line('sky-config.profile');
  assert.match(ambient.fix ?? '', /--write --profile a$/);
});

test('what may not be looked at is not known, and that is no failure', async () => {
  allow(['ec2:DescribeVpcEndpoints', 'iam:*']);
  const report = await check(aws(...GOOD, 'vpc_names: lab'));
  assert.equal(report.status, 0);
  assert.match(
    report.line('sky-account.way-to-ssm.us-east-1.lab').seen,
    /ec2:DescribeVpcEndpoints is not allowed$/,
  );
  assert.match(report.line('sky-account.role').seen, /iam:GetInstanceProfile is not allowed$/);
  allow(['ec2:DescribeVpcs']);
  assert.match(
    (await check(aws(...GOOD, 'vpc_names: lab'))).line('sky-account.vpc.us-east-1.lab').seen,
    /not known/,
  );
});

test('clusters with an older line are named; a role without rights fails', async () => {
  const file = join(home, '.sky', 'generated', 'ssh', 'train');
  writeFileSync(file, 'Host train\n  HostName 10.0.1.10\n  ProxyCommand aws ssm start-session --target x\n');
  cluster.emulator.controls.putNodeRole('skypilot-v1', []);
  const report = await check(aws(...GOOD));
  assert.match(report.line('sky-clusters').seen, /AWS CLI, which stays: train$/);
  assert.equal(report.line('sky-clusters').fix, 'see what to change: ssm-proxy skypilot adopt');
  assert.deepEqual(report.failed, ['sky-account.role']);
});
