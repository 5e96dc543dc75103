/** `ssm-proxy ssh-config`, and real ssh with what it wrote, also called the way VS Code does. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { FAR_ENDS, NODE, startCluster } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';
import { skipWithout } from '../support/programs.ts';
import type { ProgramResult } from '../support/programs.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
let home: string;
let number = 0;
before(async () => {
  cluster = await startCluster({ nodes: 2 });
});
after(() => cluster.close());
beforeEach(() => {
  home = join(cluster.directory, `person-${(number += 1)}`);
  mkdirSync(home);
});

const config = (): string => join(home, '.ssh', 'config');
const own = (): string => join(home, '.ssh', 'ssm-proxy.conf');

async function sshConfig(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await cluster.cli(['ssh-config', ...args], { env: { HOME: home } });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout.toString();
}

function writeConfig(text: string): void {
  mkdirSync(join(home, '.ssh'), { mode: 0o700 });
  writeFileSync(config(), text);
}

/** ssh as a person with this home would call it: only the key and the host keys are added. */
function sshArgs(args: readonly string[], privateIp = NODE): readonly string[] {
  const node = cluster.emulator.instances.find((instance) => instance.privateIp === privateIp);
  const options = [`IdentityFile=${node?.identityFile ?? ''}`, `User=${node?.user ?? ''}`];
  options.push(
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
    'IdentityAgent=none',
  );
  return ['-F', config(), ...options.flatMap((option) => ['-o', option]), ...args];
}

/** What ssh makes of the files for a host. */
async function effective(host: string): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await cluster.run('ssh', ['-F', config(), '-G', host]);
  const lines = stdout.toString().trimEnd().split('\n');
  return new Map(lines.map((line) => [line.split(' ', 1)[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
}

test('it prints a block that needs no shell, and writes nothing', async () => {
  const block = await sshConfig('--region', 'us-east-1', '--tag', 'team=ml');
  assert.match(block, /^Host 10\.\* .* i-\* mi-\* /m);
  assert.match(block, / connect --tag team=ml --region us-east-1 %h %p$/m);
  assert.match(await sshConfig('--share'), / connect --share %h %p$/m);
  assert.match(
    await sshConfig('--share=30m', '--share-sessions', '2'),
    / connect --share=30m --share-sessions 2 %h %p$/m,
  );
  assert.deepEqual(readdirSync(home), []);
});

test('host keys: by a whole path, with the options that choose the instance, unless ssh is too old or nobody wants them', async () => {
  const line = /^ {4}KnownHostsCommand (.*)$/m;
  const [, node] = cluster.cliCommand;
  const given = ['--profile', 'a b', '--tag', 'team=ml', '--share'];
  assert.equal(
    line.exec(await sshConfig(...given))?.[1],
    `${process.execPath} ${node} host-keys --tag team=ml --profile "a b" --offered %K %H`,
  );
  assert.doesNotMatch(await sshConfig('--no-host-keys'), line);
  symlinkSync(node, join(home, 'ssm-proxy'));
  const path = `${home}:${process.env['PATH'] ?? ''}`;
  const run = (): Promise<ProgramResult> =>
    cluster.run(join(home, 'ssm-proxy'), ['ssh-config'], { env: { HOME: home, PATH: path } });
  assert.equal(
    line.exec((await run()).stdout.toString())?.[1],
    `${join(home, 'ssm-proxy')} host-keys --offered %K %H`,
  );
  writeFileSync(join(home, 'ssh'), '#!/bin/sh\necho OpenSSH_8.2p1 >&2\n', { mode: 0o700 });
  assert.doesNotMatch((await run()).stdout.toString(), line);
});

test('the plain name is used where PATH leads to this program, node and path where it does not', async () => {
  const line = /^ {4}ProxyCommand (.*)$/m;
  const [, elsewhere] = line.exec(await sshConfig()) ?? [];
  assert.equal(elsewhere, `${process.execPath} ${cluster.cliCommand[1]} connect %h %p`);
  symlinkSync(cluster.cliCommand[1], join(home, 'ssm-proxy'));
  const env = { HOME: home, PATH: `${home}:${process.env['PATH'] ?? ''}` };
  const { stdout } = await cluster.run(join(home, 'ssm-proxy'), ['ssh-config'], { env });
  assert.equal(line.exec(stdout.toString())?.[1], 'ssm-proxy connect %h %p');
  const absolute = await cluster.run(join(home, 'ssm-proxy'), ['ssh-config', '--absolute'], { env });
  assert.equal(line.exec(absolute.stdout.toString())?.[1], elsewhere);
});

test('--write makes ssh use it, for private addresses only; --remove leaves no trace', async () => {
  const text = 'Host mine\n  User me\n';
  writeConfig(text);
  chmodSync(config(), 0o644);
  assert.match(
    await sshConfig('--write'),
    /is written, and .* includes it\.\nWhat was in .*\.before-ssm-proxy\.\n$/,
  );
  assert.equal(statSync(own()).mode & 0o777, 0o600);
  assert.equal(statSync(config()).mode & 0o777, 0o644);
  assert.match((await effective('10.4.5.6')).get('proxycommand') ?? '', / connect %h %p$/);
  assert.equal((await effective('10.4.5.6')).get('serveraliveinterval'), '15');
  assert.equal((await effective('github.com')).get('proxycommand'), undefined);
  assert.equal((await effective('mine')).get('user'), 'me');
  const written = readFileSync(config(), 'utf8');
  assert.match(await sshConfig('--write'), /up to date, and .* includes it\.\n$/);
  assert.equal(readFileSync(config(), 'utf8'), written);
  await sshConfig('--remove');
  assert.equal(readFileSync(config(), 'utf8'), text);
  assert.equal(existsSync(own()), false);
  assert.equal(await sshConfig('--remove'), 'There was nothing to remove.\n');
});

test('a config that is a link into a folder of dotfiles stays one', async () => {
  const dotfile = join(home, 'dotfile');
  writeFileSync(dotfile, '# mine\n');
  mkdirSync(join(home, '.ssh'), { mode: 0o700 });
  symlinkSync(dotfile, config());
  await sshConfig('--write');
  assert.ok(lstatSync(config()).isSymbolicLink());
  assert.match(readFileSync(dotfile, 'utf8'), /^# Added by .*\nInclude .*\n\n# mine\n$/);
});

test('what cannot stand in a Host line is refused', async () => {
  const { status, stderr } = await cluster.cli(['ssh-config', '--host', 'a b']);
  assert.equal(status, 2);
  assert.match(stderr, /^ssm-proxy: --host "a b" cannot be used \[USAGE\]$/m);
});

test('a command runs through what --write wrote', async () => {
  await sshConfig('--write');
  const run = (...args: readonly string[]): Promise<ProgramResult> => cluster.run('ssh', sshArgs(args));
  const { stdout, stderr } = await run(NODE, 'echo reached');
  assert.deepEqual([stdout.toString(), stderr], ['reached\n', '']);
  await cluster.checkNothingLeft();
});

const [sshd] = FAR_ENDS;

test(
  'VS Code: a script to bash, and its server reached through a SOCKS port',
  {
    skip: sshd?.skip ?? skipWithout('ssh'),
  },
  async () => {
    assert.ok(sshd !== undefined);
    await sshConfig('--write');
    // What the VS Code server would be: something that listens on the node's own loopback.
    const server = createServer((socket) => socket.end('server of VS Code'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port: serverPort } = server.address() as AddressInfo;
    const socksPort = await freePort();
    const args = ['-T', '-D', String(socksPort), '-o', 'ConnectTimeout=15', sshd.host, 'bash'];
    const ssh = cluster.start('ssh', sshArgs(args, sshd.host), { keepsInput: true });
    try {
      ssh.stdin.write('echo "ready: $((40 + 2))"\n');
      await until('the script has run', () => ssh.outputSoFar().includes('ready: 42\n'));
      assert.equal(await throughSocks(socksPort, serverPort), 'server of VS Code');
      ssh.stdin.end('exit 7\n');
      const { status, stderr } = await ssh.finished;
      assert.deepEqual([status, stderr], [7, '']);
    } finally {
      server.close();
      ssh.child.kill();
    }
    await cluster.checkNothingLeft();
  },
);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** SOCKS5 without authentication (RFC 1928) to 127.0.0.1:port of the far side; all that it says. */
async function throughSocks(socksPort: number, port: number): Promise<string> {
  const socket = connect(socksPort, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (data) => chunks.push(data));
  socket.write(Buffer.from([5, 1, 0]));
  socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255]));
  await once(socket, 'close');
  const answer = Buffer.concat(chunks);
  assert.deepEqual([...answer.subarray(0, 4)], [5, 0, 5, 0], 'the request is granted');
  return answer.subarray(2 + 10).toString();
}
