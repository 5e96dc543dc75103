/** The single-file executable, built for this machine: works without Node and without any file of this project. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { Cluster } from '../support/cluster.ts';
import { NODE, startCluster } from '../support/cluster.ts';
import { packageFacts, projectRoot } from '../support/cli.ts';
import { startSession } from '../support/plugin-home.ts';
import { skipWithout } from '../support/programs.ts';
import { until } from '../support/until.ts';

/** Debian's own Node, for one, keeps the program in a shared library. */
const canHoldPrograms = readFileSync(process.execPath).includes(
  'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2',
);

describe('the executable', { skip: !canHoldPrograms && 'this Node cannot hold a program' }, () => {
  let cluster: Cluster;
  let executable = '';
  /** Nothing but the executable can be found. */
  const bare = { PATH: '/nonexistent', NODE_OPTIONS: '' };

  before(async () => {
    cluster = await startCluster({ withSshd: false, nodes: 2 });
    executable = join(cluster.directory, 'a folder', 'ssm-proxy');
    const script = join(projectRoot, 'scripts', 'bootstrap.mjs');
    await promisify(execFile)(process.execPath, [script, 'executable', executable], {
      cwd: cluster.directory,
    });
  });
  after(() => cluster.close());

  test('says its version and its help', async () => {
    const version = await cluster.run(executable, ['--version'], { env: bare });
    assert.deepEqual([version.stdout.toString(), version.stderr], [`${packageFacts().version}\n`, '']);
    const help = await cluster.run(executable, ['connect', '--help'], { env: bare });
    assert.match(help.stdout.toString(), /^ssm-proxy connect <target> \[port\]/);
  });

  test('finds an instance', async () => {
    const { stdout, stderr } = await cluster.run(executable, ['resolve', NODE, '--json'], { env: bare });
    assert.equal(stderr, '');
    const { instanceId } = JSON.parse(stdout.toString()) as { instanceId: string };
    assert.equal(instanceId, cluster.instanceId(NODE));
  });

  test('carries ssh', { skip: skipWithout('ssh') }, async () => {
    const proxy = `ProxyCommand='${executable}' connect %h %p`;
    const { status, stdout, stderr } = await cluster.ssh(['-o', proxy, NODE, 'cat'], { input: 'through it' });
    assert.deepEqual([status, stdout.toString(), stderr], [0, 'through it', '']);
    await cluster.checkNothingLeft();
  });

  test('starts itself again where it has to', { skip: skipWithout('ssh') }, async () => {
    const emulator = cluster.start(executable, ['emulator', '--json', '--nodes', '1']);
    const line = await until('the emulator is ready', () => /^(\{.*\})\n/.exec(emulator.outputSoFar())?.[1]);
    const { sshConfig, instances } = JSON.parse(line) as {
      sshConfig: string;
      instances: readonly { privateIp: string }[];
    };
    assert.ok(readFileSync(sshConfig, 'utf8').includes(executable));
    const { status, stderr } = await cluster.run('ssh', [
      '-F',
      sshConfig,
      instances[0]?.privateIp ?? '',
      'exit 7',
    ]);
    emulator.child.kill('SIGTERM');
    await emulator.finished;
    assert.deepEqual([status, stderr], [7, '']);
  });

  test('writes itself into the lines that it prints', async () => {
    const { stdout, stderr } = await cluster.run(executable, ['ssh-config'], { env: bare });
    assert.equal(stderr, '');
    assert.match(stdout.toString(), /^ +ProxyCommand '[^']+a folder\/ssm-proxy' connect %h %p$/m);
  });

  test('is the drop-in for session-manager-plugin, once that is installed', async () => {
    const folder = join(cluster.directory, 'plugin folder');
    const installed = await cluster.run(executable, ['plugin', 'install', '--dir', folder], { env: bare });
    assert.equal(installed.stderr, '');
    const { response } = await startSession(cluster, {
      Target: cluster.instanceId(NODE),
      DocumentName: 'AWS-StartNonInteractiveCommand',
      Parameters: { command: ['echo through it'] },
    });
    const program = join(folder, 'session-manager-plugin');
    const { status, stdout, stderr } = await cluster.run(
      program,
      [response, cluster.emulator.region, 'StartSession'],
      { env: bare },
    );
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout.toString(), /^\nStarting session with SessionId: \S+\nthrough it\n/);
    await cluster.checkNothingLeft();
  });

  test('comes with the licences of what is in it', () => {
    const text = readFileSync(join(cluster.directory, 'a folder', 'LICENSES.txt'), 'utf8');
    assert.match(text, /Node\.js/);
    assert.match(text, /^ws \d/m);
    assert.ok(!existsSync(join(cluster.directory, 'a folder', 'chunks')));
  });
});
