/** The real AWS CLI with our session-manager-plugin: shells, commands, ports, ssh, and SkyPilot's own `use_ssm`. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as http from 'node:http';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, describe, test } from 'node:test';
import { NODE, startCluster } from '../support/cluster.ts';
import type { Cluster, RunOptions } from '../support/cluster.ts';
import { startHttp } from '../support/forward-bench.ts';
import type { HttpServer } from '../support/forward-bench.ts';
import type { PluginHome } from '../support/plugin-home.ts';
import { awsClis, installPlugin, skipWithoutAws } from '../support/plugin-home.ts';
import type { Program } from '../support/programs.ts';
import { skipWithout } from '../support/programs.ts';
import { closedPort } from '../support/tcp-server.ts';
import { Terminal } from '../support/terminal.ts';
import { until } from '../support/until.ts';

const KEY = 'arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d';
const STARTING = /^\nStarting session with SessionId: (demo-\w+)\n/;

let cluster: Cluster;
let home: PluginHome;
let web: HttpServer;
let target: string;

before(async () => {
  cluster = await startCluster({ nodes: 2, withSshd: false });
  home = await installPlugin(cluster);
  web = await startHttp((request, response) => response.end(`you asked for ${request.url}`));
  target = cluster.instanceId(NODE);
  cluster.emulator.controls.changeInstance(target, {
    dial: { '80': web.address, 'web.internal:80': web.address, '81': await closedPort() },
  });
});
after(async () => {
  await cluster.close();
  web.close();
});
afterEach(async () => {
  cluster.emulator.controls.setKmsKey(undefined);
  cluster.reset();
  await cluster.checkNothingLeft();
});

const session = (...args: readonly string[]): readonly string[] => [
  ...['ssm', 'start-session', '--target', target],
  ...args,
];
const aws = (args: readonly string[], options: RunOptions = {}) =>
  cluster.run('aws', args, { env: home.env, ...options });

const documentOf = (name: string, ...parameters: readonly string[]): readonly string[] => [
  ...['--document-name', name],
  ...(parameters.length === 0 ? [] : ['--parameters', parameters.join(',')]),
];

describe('the AWS CLI', { skip: skipWithoutAws }, () => {
  for (const cli of awsClis()) {
    test(`${cli} runs a command, and ssh through it`, { skip: skipWithout('ssh') }, async () => {
      const env = home.envOf(cli);
      const command = documentOf('AWS-StartNonInteractiveCommand', 'command=echo hello there');
      const { status, stdout, stderr } = await cluster.run('aws', session(...command), { env });
      assert.deepEqual([status, stderr], [0, '']);
      const [, sessionId = ''] = STARTING.exec(stdout.toString()) ?? [];
      assert.equal(
        stdout.toString().replace(STARTING, ''),
        `hello there\n\n\nExiting session with sessionId: ${sessionId}.\n\n`,
      );

      const proxy = `ProxyCommand=aws ${session(...documentOf('AWS-StartSSHSession', 'portNumber=%p')).join(' ')}`;
      const input = randomBytes(300_000);
      const ssh = await cluster.ssh(['-o', proxy, NODE, 'cat; exit 7'], { env, input });
      assert.deepEqual([ssh.status, ssh.stderr], [7, '']);
      assert.ok(ssh.stdout.equals(input));
    });
  }

  test('a shell on pipes ends with the input', { skip: skipWithout('script') }, async () => {
    const { status, stdout, stderr } = await aws(session(), { input: 'echo one$((1+1))\n' });
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout.toString(), STARTING);
    assert.match(stdout.toString(), /one2\r\n[^]*\n\nExiting session with sessionId: demo-\w+\.\n\n$/);
  });

  test('a shell whose session is ended fails, with the text', { skip: skipWithout('script') }, async () => {
    const program = cluster.start('aws', session(), { env: home.env, keepsInput: true });
    await until('it is up', () => program.outputSoFar().includes('# '));
    const [, sessionId = ''] = STARTING.exec(program.outputSoFar()) ?? [];
    cluster.emulator.controls.terminateSession(sessionId, 'idle for too long');
    const { status, stdout, stderr } = await program.finished;
    assert.notEqual(status, 0);
    assert.ok(stdout.toString().endsWith(`\n\nSessionId: ${sessionId} : idle for too long\n\n`));
    assert.match(stderr, /^ssm-proxy: session \S+ on \S+ was ended: idle for too long \[SESSION_ENDED\]\n/);
  });

  test('a local port: several connections, a resume between them, Ctrl-C', async () => {
    const { program, port } = await forward(
      'AWS-StartPortForwardingSession',
      'portNumber=80,localPortNumber=0',
    );
    assert.equal(await get(port, '/one'), 'you asked for /one');
    await resumed(() => cluster.emulator.controls.dropAllClients());
    assert.deepEqual(await Promise.all([get(port, '/two'), get(port, '/three')]), [
      'you asked for /two',
      'you asked for /three',
    ]);
    await interrupted(program);
    const output = program.outputSoFar();
    assert.equal(output.match(/^Connection accepted for session \[demo-\w+\]$/gm)?.length, 1);
    assert.match(
      output,
      /Terminate signal received, exiting\.\n\n\nExiting session with sessionId: demo-\w+\.\n\n$/,
    );
  });

  test('a remote host, and a port on which nothing listens', async () => {
    const remote = await forward(
      'AWS-StartPortForwardingSessionToRemoteHost',
      'host=web.internal,portNumber=80,localPortNumber=0',
    );
    assert.equal(await get(remote.port, '/there'), 'you asked for /there');
    await interrupted(remote.program);

    const refused = await forward('AWS-StartPortForwardingSession', 'portNumber=81');
    await assert.rejects(get(refused.port, '/'));
    await until('it says so', () =>
      refused.program
        .outputSoFar()
        .includes('\nConnection to destination port failed, check SSM Agent logs.\n'),
    );
    await interrupted(refused.program);
  });

  test('an encrypted shell says so', { skip: skipWithout('script') }, async () => {
    cluster.emulator.controls.setKmsKey(KEY);
    const { status, stdout, stderr } = await aws(session(), { input: 'echo one$((1+1))\n' });
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(
      stdout.toString(),
      /^\nStarting .*\nThis session is encrypted using AWS KMS\.\n[^]*one2\r\n/,
    );
  });

  test("SkyPilot's use_ssm: its own line, through cuts", { skip: skipWithout('ssh') }, async () => {
    const { region, controls } = cluster.emulator;
    const find = `aws ec2 describe-instances --region ${region} --filters Name=private-ip-address,Values=%h --query "Reservations[].Instances[].InstanceId" --output text`;
    const proxy = `aws ssm start-session --target "$(${find})" --region ${region} --document-name AWS-StartSSHSession --parameters portNumber=%p`;
    const input = randomBytes(1_000_000);
    const sky = [
      '-T',
      '-o',
      'ServerAliveInterval=5',
      '-o',
      'ConnectTimeout=30s',
      '-o',
      `ProxyCommand=${proxy}`,
    ];
    cluster.liftPaces();
    await resumed(async () => {
      const program = cluster.startSsh([...sky, NODE, 'cat'], { env: home.env, keepsInput: true });
      program.stdin.write(input.subarray(0, 1_000));
      await until('it carries', () => program.receivedBytes() > 0);
      controls.changeFaults({ link: { cutEveryMs: 400 } });
      program.stdin.end(input.subarray(1_000));
      const { status, stdout, stderr } = await program.finished;
      assert.deepEqual([status, stderr], [0, '']);
      assert.ok(stdout.equals(input));
    });
  });
});

describe('the AWS CLI on a terminal', { skip: skipWithoutAws || skipWithout('tmux', 'script') }, () => {
  let terminal: Terminal | undefined;
  afterEach(() => terminal?.close());

  test('keys, sizes and Ctrl-C are the far side’s, and nothing suspends it', async () => {
    const line = `aws ${session().join(' ')}`;
    const env = { ...cluster.env, ...home.env };
    terminal = new Terminal(`stty -g > before; ${line}; s=$?; stty -g > after; cmp before after && exit $s`, {
      ...{ env, cwd: cluster.directory, columns: 91, rows: 27 },
    });
    await terminal.shows(/Starting session with SessionId: demo-\w+\n[^]*# *$/);
    terminal.type('stty size; echo ü$((1+1))');
    terminal.press('Enter');
    await terminal.shows(/^27 91$/m);
    await terminal.shows(/^ü2$/m);
    terminal.type('sleep 600.5');
    terminal.press('Enter');
    await terminal.shows(/sleep 600\.5$/);
    terminal.press('C-c');
    await terminal.shows(/\^C\s+# *$/);
    // An escape is one at the start of a line.
    terminal.press('Enter');
    terminal.type('~?');
    await terminal.shows(/~\. {3}end the session/);
    assert.doesNotMatch(terminal.screen(), /suspend/);
    terminal.press('Enter', 'C-d');
    assert.equal(await terminal.ended(), 0);
    assert.match(terminal.history(), /Exiting session with sessionId: demo-\w+\./);
  });
});

async function forward(document: string, parameters: string): Promise<{ program: Program; port: number }> {
  const program = cluster.start('aws', session(...documentOf(document, parameters)), { env: home.env });
  const opened = /^Port (\d+) opened for sessionId demo-\w+\.\nWaiting for connections\.\.\.\n/m;
  const port = await until('it listens', () => opened.exec(program.outputSoFar())?.[1]);
  return { program, port: Number(port) };
}

/** As the terminal does it: to the CLI and the plugin at once. */
async function interrupted(program: Program): Promise<void> {
  process.kill(-program.pid, 'SIGINT');
  const { status, stderr } = await program.finished;
  assert.deepEqual([status, stderr], [0, '']);
}

async function resumed(act: () => unknown): Promise<void> {
  const count = (): number => cluster.emulator.controls.state().calls['ssm:ResumeSession']?.succeeded ?? 0;
  const before = count();
  await act();
  await until('the session was resumed', () => count() > before);
}

/** One request on a connection of its own. */
async function get(port: number, path: string): Promise<string> {
  const request = http.get({ host: '127.0.0.1', port, path, agent: false });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  return text(response);
}
