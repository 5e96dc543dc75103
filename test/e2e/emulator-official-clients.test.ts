/**
 * Third parties judge the emulator: Amazon's CLI, boto3 and the Session Manager plugin, where they are installed.
 * The plugin must be one that opens stream URLs outside AWS (before 1.2.889.0).
 */
import assert from 'node:assert/strict';
import * as crypto from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import type { ProgramResult } from '../support/programs.ts';
import { findProgram, skipWithout, startProgram } from '../support/programs.ts';
import { until } from '../support/until.ts';

const skipPlugin = skipWithout('aws', 'session-manager-plugin', 'ssh');

let emulator: Emulator;
let home: string;

before(async () => {
  emulator = await startEmulator({ nodes: 7 });
  home = mkdtempSync(join(tmpdir(), 'official-clients-'));
});
after(async () => {
  await emulator.close();
  rmSync(home, { recursive: true, force: true });
});

/** Nothing of this machine but where programs are. */
function environment(): Record<string, string> {
  const folders = [process.env['PATH'] ?? '', dirname(process.execPath)];
  return {
    PATH: folders.join(delimiter),
    HOME: home,
    LANG: 'C.UTF-8',
    AWS_ENDPOINT_URL: emulator.endpoint,
    AWS_REGION: emulator.region,
    AWS_DEFAULT_REGION: emulator.region,
    AWS_ACCESS_KEY_ID: emulator.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: emulator.credentials.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_PAGER: '',
    // Tells a version manager's wrapper where its versions are, if `aws` is one.
    ...(process.env['PYENV_ROOT'] === undefined ? {} : { PYENV_ROOT: process.env['PYENV_ROOT'] }),
  };
}

function run(command: string, args: readonly string[], input?: Buffer): Promise<ProgramResult> {
  const options = { env: environment(), cwd: home, timeLimitMs: 60_000 };
  return startProgram(
    findProgram(command) ?? command,
    args,
    input === undefined ? options : { ...options, input },
  ).finished;
}

async function aws(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await run('aws', args);
  assert.equal(status, 0, stderr);
  return stdout.toString().trim();
}

test('the AWS CLI finds an instance by its private IP', { skip: skipWithout('aws') }, async () => {
  const found = await aws(
    ...['ec2', 'describe-instances', '--filters', 'Name=private-ip-address,Values=10.0.1.10'],
    ...['--query', 'Reservations[].Instances[].[InstanceId,State.Name,PrivateIpAddress]', '--output', 'text'],
  );
  assert.equal(found, `${emulator.instances[0]?.instanceId}\trunning\t10.0.1.10`);
});

test('the AWS CLI reads SSM and STS, and their errors', { skip: skipWithout('aws') }, async () => {
  const [caller, online, refused] = await Promise.all([
    aws('sts', 'get-caller-identity', '--query', 'Arn', '--output', 'text'),
    aws('ssm', 'describe-instance-information', '--query', 'length(InstanceInformationList)'),
    run('aws', ['ssm', 'resume-session', '--session-id', 'nobody-00000000000000000']),
  ]);
  assert.equal(caller, 'arn:aws:iam::111122223333:user/demo');
  assert.equal(online, '7');
  assert.notEqual(refused.status, 0);
  assert.match(
    refused.stderr,
    /An error occurred \(DoesNotExistException\) when calling the ResumeSession operation: \S/,
  );
});

const BOTO3 = `
import boto3, json
ec2 = boto3.client('ec2')
pages = [len(page['Reservations']) for page in ec2.get_paginator('describe_instances').paginate(PaginationConfig={'PageSize': 5})]
instance = ec2.describe_instances(Filters=[{'Name': 'tag:Name', 'Values': ['demo-w*1']}])['Reservations'][0]['Instances'][0]
started = boto3.client('ssm').start_session(Target=instance['InstanceId'], DocumentName='AWS-StartSSHSession')
print(json.dumps([pages, instance['PrivateIpAddress'], instance['LaunchTime'].year > 2000, sorted(started)[-2:]]))
`;
const hasBoto3 = async (): Promise<boolean> =>
  findProgram('python3') !== undefined && (await run('python3', ['-c', 'import boto3'])).status === 0;

test('boto3 reads instances, pages and sessions', async (context) => {
  if (!(await hasBoto3())) {
    context.skip('not installed: boto3');
    return;
  }
  const { status, stdout, stderr } = await run('python3', ['-c', BOTO3]);
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout.toString()), [[5, 2], '10.0.1.11', true, ['StreamUrl', 'TokenValue']]);
});

test('ssh goes through the AWS CLI and the Session Manager plugin', { skip: skipPlugin }, async () => {
  const [node] = emulator.instances;
  assert.ok(node !== undefined && node.identityFile !== null);
  const proxy = `aws ssm start-session --target ${node.instanceId} --document-name AWS-StartSSHSession --parameters portNumber=22`;
  const options = {
    IdentityFile: node.identityFile,
    IdentitiesOnly: 'yes',
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: '/dev/null',
    LogLevel: 'ERROR',
    ProxyCommand: proxy,
  };
  const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const input = crypto.randomBytes(500_000);
  const { status, stdout, stderr } = await run(
    'ssh',
    ['-F', 'none', ...flags, `${node.user}@node`, 'cat; exit 7'],
    input,
  );
  assert.equal(status, 7, stderr);
  assert.ok(stdout.equals(input));
});

test('the plugin forwards a port through a multiplexed session', { skip: skipPlugin }, async () => {
  const [node] = emulator.instances;
  const forward = startProgram(
    findProgram('aws') ?? 'aws',
    [
      ...['ssm', 'start-session', '--target', node?.instanceId ?? ''],
      ...[
        '--document-name',
        'AWS-StartPortForwardingSession',
        '--parameters',
        'portNumber=22,localPortNumber=0',
      ],
    ],
    { env: environment(), cwd: home, timeLimitMs: 60_000 },
  );
  const port = await until('the plugin listens', () => /Port (\d+) opened/.exec(forward.outputSoFar())?.[1]);
  await until('the plugin waits', () => forward.outputSoFar().includes('Waiting for connections'));
  for (let connection = 0; connection < 2; connection += 1) {
    const banner = await new Promise<string>((resolve, reject) => {
      const socket = net.connect(Number(port), '127.0.0.1');
      socket.once('data', (data) => {
        socket.destroy();
        resolve(data.toString('latin1'));
      });
      socket.once('error', reject);
    });
    assert.match(banner, /^SSH-2\.0-/);
  }
  process.kill(-forward.pid, 'SIGINT');
  await forward.finished;
  await until('the session ends', () =>
    emulator.controls
      .sessions()
      .every(
        (session) =>
          session.documentName !== 'AWS-StartPortForwardingSession' || session.status === 'Terminated',
      ),
  );
});
