/**
 * The ways in which SkyPilot runs ssh, with its own options, over the line that `ssm-proxy skypilot config` prints
 * (sky/utils/command_runner.py, sky/provision/provisioner.py): commands, the boot probe, the hop into a container, rsync.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { parse } from 'yaml';
import { NODE, startCluster } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';
import { skipWithout } from '../support/programs.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
/** What SkyPilot reads from its config. */
let proxyCommand: string;
let home: string;

before(async () => {
  cluster = await startCluster({ nodes: 3, withSshd: false });
  home = join(cluster.directory, 'person');
  mkdirSync(home);
  const { stdout } = await cluster.cli(['skypilot', 'config'], { env: { HOME: home } });
  const config = parse(stdout.toString()) as {
    aws: { use_internal_ips: boolean; ssh_proxy_command: string };
  };
  assert.equal(config.aws.use_internal_ips, true);
  proxyCommand = config.aws.ssh_proxy_command;
});
after(() => cluster.close());
afterEach(() => cluster.reset());

function node(privateIp = NODE) {
  const found = cluster.emulator.instances.find((instance) => instance.privateIp === privateIp);
  assert.ok(found !== undefined);
  return { ...found, identityFile: found.identityFile ?? '' };
}

const quote = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`;

/** ssh_options_list: as words of a shell line. */
function runnerOptions(identityFile: string, port: number, connectTimeout: number, proxy: string): string[] {
  const options = {
    ...{ StrictHostKeyChecking: 'no', UserKnownHostsFile: '/dev/null', LogLevel: 'ERROR' },
    ...{ IdentitiesOnly: 'yes', ExitOnForwardFailure: 'yes' },
    ...{ ServerAliveInterval: 5, ServerAliveCountMax: 3, ConnectTimeout: `${connectTimeout}s` },
  };
  const words = Object.entries({ Port: port, ...options }).flatMap(([name, value]) => [
    '-o',
    `${name}=${value}`,
  ]);
  return ['-i', quote(identityFile), ...words, '-o', `ProxyCommand=${quote(proxy)}`];
}

/** Both outputs in one pipe, as SkyPilot captures them. */
async function capture(line: string): Promise<{ readonly status: number | null; readonly output: string }> {
  const { status, stdout, stderr } = await cluster.run('bash', ['-c', `{ ${line} ; } 2>&1`]);
  assert.equal(stderr, '');
  return { status, output: stdout.toString() };
}

for (const connectTimeout of [30, 10, 5]) {
  test(`a command with ConnectTimeout=${connectTimeout}s gives its output and nothing else`, async () => {
    const { user, identityFile } = node();
    const options = runnerOptions(identityFile, 22, connectTimeout, proxyCommand).join(' ');
    const line = `ssh -T ${options} ${user}@${NODE} ${quote("bash --login -c 'echo out; echo err >&2; exit 3'")}`;
    const { status, output } = await capture(line);
    assert.deepEqual([status, output.split('\n').sort()], [3, ['', 'err', 'out']]);
    await cluster.checkNothingLeft();
  });
}

test('with ConnectTimeout=1s ssh either gets in or fails with our reason, and nothing stays', async () => {
  const { user, identityFile, instanceId } = node();
  const options = runnerOptions(identityFile, 22, 1, proxyCommand).join(' ');
  cluster.emulator.controls.changeInstance(instanceId, { agentOnline: false });
  const { status, output } = await capture(`ssh -T ${options} ${user}@${NODE} true`);
  cluster.emulator.controls.changeInstance(instanceId, { agentOnline: true });
  assert.equal(status, 255);
  // What launchers take for a passing trouble: ours if there was time for it, else ssh's own.
  assert.match(output, /TargetNotConnected|CONNECT_TIMEOUT|Connection timed out/);
  await cluster.checkNothingLeft();
});

/** _wait_ssh_connection_direct and its proxy form: words, no shell; killed hard when the time is up. */
function bootProbe(connectTimeout: number) {
  const { user, identityFile } = node();
  const options = [
    ...['StrictHostKeyChecking=no', 'PasswordAuthentication=no', `ConnectTimeout=${connectTimeout}s`],
    ...['UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'IdentitiesOnly=yes', 'AddKeysToAgent=yes'],
    ...['ExitOnForwardFailure=yes', 'ServerAliveInterval=5', 'ServerAliveCountMax=3'],
    `ProxyCommand=${proxyCommand}`,
  ];
  const words = [
    '-T',
    '-i',
    identityFile,
    `${user}@${NODE}`,
    '-p',
    '22',
    ...options.flatMap((each) => ['-o', each]),
  ];
  return cluster.start('ssh', [...words, 'uptime']);
}

test('boot: probes that are killed while the node starts leave nothing, the first one after that gets in', async () => {
  const { instanceId } = node();
  const { controls } = cluster.emulator;
  controls.changeInstance(instanceId, { agentOnline: false });
  const probes = [bootProbe(10), bootProbe(10), bootProbe(10)];
  const asked = (): number => controls.state().calls['ssm:StartSession']?.calls ?? 0;
  const before = asked();
  await until('the probes wait for the agent', () => asked() >= before + probes.length);
  for (const { child } of probes) child.kill('SIGKILL');
  await Promise.all(probes.map(({ finished }) => finished));
  await cluster.checkNothingLeft();
  controls.changeInstance(instanceId, { agentOnline: true });
  const { status, stdout, stderr } = await bootProbe(10).finished;
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout.toString(), /load average/);
  await cluster.checkNothingLeft();
});

test('boot: a probe that is killed in the middle of the key exchange ends its session', async () => {
  const { controls } = cluster.emulator;
  controls.changeBehaviour({ handshakeDelayMs: 60_000 }, node().instanceId);
  const probe = bootProbe(10);
  await until('there is a session', () => controls.sessions().some(({ hasClient }) => hasClient));
  probe.child.kill('SIGKILL');
  await probe.finished;
  await cluster.checkNothingLeft();
});

test('the hop into a container: the line with the address put in, inside another ProxyCommand', async () => {
  const container = node('10.0.1.12');
  const { user, identityFile } = node();
  assert.ok(container.sshPort !== null);
  const line = proxyCommand.replaceAll('%h', NODE).replaceAll('%p', '22');
  const inner = ['ssh', ...runnerOptions(identityFile, 22, 30, line), '-W', '%h:%p', `${user}@${NODE}`].join(
    ' ',
  );
  const outer = runnerOptions(container.identityFile, container.sshPort, 30, inner).join(' ');
  const { status, output } = await capture(`ssh -T ${outer} ${container.user}@localhost 'echo inside'`);
  assert.deepEqual([status, output], [0, 'inside\n']);
  await cluster.checkNothingLeft();
});

test('rsync splits the ssh line again, and copies', { skip: skipWithout('rsync') }, async () => {
  const { user, identityFile } = node();
  const source = join(cluster.directory, 'file.txt');
  const copy = join(cluster.directory, 'back');
  mkdirSync(copy);
  writeFileSync(source, 'some text\n'.repeat(5_000));
  const ssh = quote(['ssh', ...runnerOptions(identityFile, 22, 30, proxyCommand)].join(' '));
  const rsync = `rsync -Pavz --no-owner --no-group -e ${ssh}`;
  const up = await capture(`${rsync} ${quote(source)} ${user}@${NODE}:`);
  assert.equal(up.status, 0, up.output);
  const down = await capture(`${rsync} ${user}@${NODE}:file.txt ${quote(`${copy}/`)}`);
  assert.equal(down.status, 0, down.output);
  assert.equal(readFileSync(join(copy, 'file.txt'), 'utf8'), readFileSync(source, 'utf8'));
  await cluster.checkNothingLeft();
});

async function skypilot(args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await cluster.cli(['skypilot', ...args], { env: { HOME: home } });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout.toString();
}

test('config --write merges into the file that is there, once', async () => {
  mkdirSync(join(home, '.sky'), { recursive: true });
  const file = join(home, '.sky', 'config.yaml');
  writeFileSync(file, '# mine\naws:\n  vpc_names: research # ours\n  use_ssm: true\n');
  const told = await skypilot(['config', '--write', '--profile', 'ml']);
  assert.match(
    told,
    /has the line now\.\nNote: aws\.use_ssm is gone: .*\nWhat was in it is in .*\.before-ssm-proxy\.\n$/,
  );
  const text = readFileSync(file, 'utf8');
  assert.match(
    text,
    /^# mine\naws:\n {2}use_internal_ips: true\n {2}ssh_proxy_command: .* connect --profile ml %h %p\n/,
  );
  assert.match(text, /\n {2}vpc_names: research # ours\n$/);
  assert.match(await skypilot(['config', '--write', '--profile', 'ml']), /is up to date\.\n$/);
  assert.equal(readFileSync(file, 'utf8'), text);
});

test('adopt shows old lines and new ones, and changes nothing', async () => {
  const folder = join(home, '.sky', 'generated', 'ssh');
  mkdirSync(folder, { recursive: true });
  const old = `Host train\n  HostName 10.0.1.10\n  ProxyCommand aws ssm start-session --target x --region us-west-2 --document-name AWS-StartSSHSession\n`;
  writeFileSync(join(folder, 'train'), old);
  const told = await skypilot(['adopt']);
  assert.match(
    told,
    /ssh\/train, Host train\n- ProxyCommand aws ssm start-session .*\n\+ ProxyCommand .* connect --region us-west-2 %h %p\n/,
  );
  assert.match(told, /^Nothing was changed\./m);
  assert.equal(readFileSync(join(folder, 'train'), 'utf8'), old);
  const { clusters } = JSON.parse(await skypilot(['adopt', '--json'])) as { clusters: { host: string }[] };
  assert.deepEqual(
    clusters.map(({ host }) => host),
    ['train'],
  );
});

for (const args of [[], ['start'], ['config', 'x']]) {
  test(`skypilot ${args.join(' ')} is refused`, async () => {
    const { status, stderr } = await cluster.cli(['skypilot', ...args]);
    assert.equal(status, 2);
    assert.match(
      stderr,
      /\[USAGE\]\nssm-proxy: ssm-proxy skypilot config, ssm-proxy skypilot check, or ssm-proxy skypilot adopt\n$/,
    );
  });
}
