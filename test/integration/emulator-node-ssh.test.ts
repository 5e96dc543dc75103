/**
 * The SSH server of an emulated node under the real OpenSSH client, without Session Manager in between. Needs ssh,
 * scp and sftp; rsync and git where they are installed.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import * as crypto from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Readable } from 'node:stream';
import ssh2 from 'ssh2';
import { hasPseudoTerminals } from '../../src/emulator/agent-pty.ts';
import { fingerprint, generateSshKeyPair } from '../../src/emulator/node-keys.ts';
import type { NodeSsh } from '../../src/emulator/node-ssh.ts';
import { startNodeSsh } from '../../src/emulator/node-ssh.ts';
import { silentLog } from '../../src/log.ts';
import { TestServer } from '../support/tcp-server.ts';
import { until } from '../support/until.ts';

const MEBIBYTE = 1024 * 1024;
const LIMIT = { timeout: 120_000 };

let root = '';
let node: NodeSsh;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'ssm-proxy-test-'));
  node = await startNodeSsh({
    directory: join(root, 'nodes'),
    hostname: 'head-0.cluster',
    user: 'ubuntu',
    log: silentLog,
    password: 'a secret',
  });
});
after(async () => {
  await node.close();
  await rm(root, { recursive: true });
});

interface Outcome {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Options that keep the user's own ssh configuration out. */
function sshOptions(target: NodeSsh = node): string[] {
  const options = [
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
    'BatchMode=yes',
  ];
  return ['-F', 'none', ...options.flatMap((option) => ['-o', option]), '-i', target.identityFile];
}

const address = (target: NodeSsh = node): string => `${target.user}@127.0.0.1`;
const portOption = (): string[] => ['-p', String(node.port)];

function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(program, args, { cwd: root, env: { ...process.env, SSH_AUTH_SOCK: '', ...env } });
}

async function collect(stream: Readable | null): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream ?? []) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function run(
  program: string,
  args: readonly string[],
  input: string | Buffer = '',
  env: NodeJS.ProcessEnv = {},
): Promise<Outcome> {
  const child = start(program, args, env);
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [stdout, stderr, [status]] = await Promise.all([collect(child.stdout), collect(child.stderr), ended]);
  return { status, stdout, stderr: stderr.toString() };
}

function ssh(args: readonly string[], input: string | Buffer = ''): Promise<Outcome> {
  return run('ssh', [...sshOptions(), ...portOption(), address(), ...args], input);
}

function sha256(data: Buffer): string {
  return crypto.createHash('sha256').update(data).digest('hex');
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  return port;
}

/** Sends text to a local port and returns all of the answer. */
async function exchange(port: number, text: string): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.end(text);
  return (await collect(socket)).toString();
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A server that answers with what it got, in capitals, once the client has ended. */
function shout(socket: net.Socket): void {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('end', () => socket.end(Buffer.concat(chunks).toString().toUpperCase()));
}

describe('commands', LIMIT, () => {
  test('stdout, stderr and exit status come back apart', async () => {
    const { status, stdout, stderr } = await ssh(['echo out; echo err >&2; exit 23']);
    assert.deepEqual([status, stdout.toString(), stderr], [23, 'out\n', 'err\n']);
  });

  test('a command killed by a signal is told as one: ssh exits with 255', async () => {
    assert.equal((await ssh(['kill -TERM $$'])).status, 255);
  });

  test('hostname, home and environment are those of the node, and nothing of ours leaks', async () => {
    const { stdout } = await ssh(['hostname; hostname -s; pwd; echo "$HOME"; echo "$USER"; env']);
    const lines = stdout.toString().split('\n');
    const { directory } = node.home;
    assert.deepEqual(lines.slice(0, 5), ['head-0.cluster', 'head-0', directory, directory, 'ubuntu']);
    assert.deepEqual(
      lines.filter((line) => /^(AWS_|NODE_|npm_)/.test(line)),
      [],
    );
  });

  test('LANG may be set by the client, PATH may not', async () => {
    const { stdout } = await run('ssh', [
      ...sshOptions(),
      ...portOption(),
      '-o',
      'SetEnv=LC_TEST=yes PATH=/nowhere',
      address(),
      'echo $LC_TEST; ls / >/dev/null && echo fine',
    ]);
    assert.equal(stdout.toString(), 'yes\nfine\n');
  });

  test('the end of stdin is passed on, and output after it arrives', async () => {
    const { stdout, status } = await ssh(['cat; echo after'], 'given\n');
    assert.deepEqual([status, stdout.toString()], [0, 'given\nafter\n']);
  });

  test('20 MB each way at once arrive unchanged', async () => {
    const data = crypto.randomBytes(20 * MEBIBYTE);
    const { stdout } = await ssh(['cat'], data);
    assert.equal(sha256(stdout), sha256(data));
  });

  test('20 MB that are not read stop the sender, and all of them arrive once read', async () => {
    const child = start('ssh', [
      ...sshOptions(),
      ...portOption(),
      address(),
      'head -c 20971520 /dev/zero; echo end',
    ]);
    await once(child.stdout as Readable, 'readable');
    const stdout = await collect(child.stdout);
    assert.equal(stdout.length, 20 * MEBIBYTE + 4);
  });

  test('a command that reads no input does not keep a client that sends', async () => {
    const { status } = await ssh(['exit 4'], Buffer.alloc(8 * MEBIBYTE));
    assert.equal(status, 4);
  });

  test('ten connections at once', async () => {
    const numbers = Array.from({ length: 10 }, (_, i) => i);
    const outcomes = await Promise.all(numbers.map((n) => ssh([`echo ${n}; exit ${n}`])));
    assert.deepEqual(
      outcomes.map(({ status, stdout }) => [status, Number(stdout.toString())]),
      numbers.map((n) => [n, n]),
    );
  });

  test('when ssh is killed, the command and what it started in the foreground die', async () => {
    const child = start('ssh', [
      ...sshOptions(),
      ...portOption(),
      address(),
      'trap "" HUP; sleep 1000 & echo $!; wait',
    ]);
    const [line] = (await once(child.stdout as Readable, 'data')) as [Buffer];
    const pid = Number(line.toString());
    assert.equal(isRunning(pid), true);
    child.kill('SIGKILL');
    await until('the end of the process', () => !isRunning(pid));
  });
});

describe('terminals', LIMIT, () => {
  test('ssh -tt runs an interactive shell with a size, and passes its exit status', async (t) => {
    if (!(await hasPseudoTerminals())) {
      t.skip('no script(1) of util-linux');
      return;
    }
    const input = 'stty size; tty; hostname; echo "<$TERM>"; exit 5\n';
    const args = ['-tt', ...sshOptions(), ...portOption(), address()];
    const { status, stdout } = await run('ssh', args, input, { TERM: 'vt220' });
    assert.equal(status, 5);
    const text = stdout.toString();
    assert.match(text, /24 80\r\n\/dev\/pts\/\d+\r\nhead-0\.cluster\r\n<vt220>\r\n/);
  });

  test('window-change reaches the terminal', async (t) => {
    if (!(await hasPseudoTerminals())) {
      t.skip('no script(1) of util-linux');
      return;
    }
    const client = new ssh2.Client();
    const privateKey = await readFile(node.identityFile);
    client.connect({ host: '127.0.0.1', port: node.port, username: 'ubuntu', privateKey });
    t.after(() => client.end());
    await once(client, 'ready');
    let output = '';
    const shell = await new Promise<ssh2.ClientChannel>((resolve, reject) => {
      const window = { cols: 91, rows: 31, term: 'xterm' };
      client.shell(window, (error, channel) => (error === undefined ? resolve(channel) : reject(error)));
    });
    shell.on('data', (chunk: Buffer) => (output += chunk.toString()));
    shell.write('stty size\n');
    await until('the first size', () => /31 91\r/.test(output));
    shell.setWindow(50, 132, 0, 0);
    await until('the second size', () => {
      shell.write('stty size\n');
      return /50 132\r/.test(output);
    });
  });

  test('a command on a terminal dies with its connection', async (t) => {
    if (!(await hasPseudoTerminals())) {
      t.skip('no script(1) of util-linux');
      return;
    }
    const child = start('ssh', [
      '-tt',
      ...sshOptions(),
      ...portOption(),
      address(),
      'echo pid=$$; exec sleep 1000',
    ]);
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const pid = await until('the pid', () => Number(/pid=(\d+)/.exec(text)?.[1] ?? 0) || undefined);
    child.kill('SIGKILL');
    await until('the end of the process', () => !isRunning(pid));
  });
});

describe('files', LIMIT, () => {
  const data = crypto.randomBytes(20 * MEBIBYTE + 13);

  test('scp, by sftp and by its old protocol, both ways', async () => {
    await writeFile(join(root, 'scp-source'), data);
    for (const flags of [[], ['-O']]) {
      const scp = (from: string, to: string): Promise<Outcome> =>
        run('scp', [...flags, '-q', ...sshOptions(), '-P', String(node.port), from, to]);
      const up = await scp('scp-source', `${address()}:uploaded`);
      assert.deepEqual([up.status, up.stderr], [0, '']);
      const down = await scp(`${address()}:uploaded`, 'scp-result');
      assert.deepEqual([down.status, down.stderr], [0, '']);
      assert.equal(sha256(await readFile(join(root, 'scp-result'))), sha256(data), flags.join(' '));
    }
  });

  test('sftp: every operation on files and directories', async () => {
    await writeFile(join(root, 'sftp-source'), data);
    const batch = [
      'pwd',
      'mkdir dir',
      'put sftp-source dir/a',
      'symlink a dir/link',
      'ln dir/a dir/hard',
      'rename dir/a dir/b',
      'chmod 640 dir/b',
      'ls -l dir',
      'get dir/b sftp-result',
      'reget dir/b sftp-result',
      'rm dir/hard',
      'rm dir/link',
      '-rmdir dir',
      'rm dir/b',
      'rmdir dir',
      '-ls dir',
      '-get missing',
    ];
    const { status, stdout, stderr } = await run(
      'sftp',
      ['-q', '-b', '-', ...sshOptions(), '-P', String(node.port), address()],
      `${batch.join('\n')}\n`,
    );
    assert.equal(status, 0, stderr);
    assert.match(stdout.toString(), new RegExp(`Remote working directory: ${node.home.directory}`));
    assert.match(stdout.toString(), /-rw-r----- .* 20971533 .* b\n/);
    assert.match(stdout.toString(), /lrwxrwxrwx .* link\n/);
    assert.equal(sha256(await readFile(join(root, 'sftp-result'))), sha256(data));
    await assert.rejects(stat(join(node.home.directory, 'dir')), { code: 'ENOENT' });
  });

  test('sftp keeps times and modes with -p, and file names of any bytes', async () => {
    const source = join(root, 'with space and ü');
    await writeFile(source, 'x');
    await chmod(source, 0o751);
    const batch = `put -p "${source}"\n`;
    const args = ['-q', '-b', '-', ...sshOptions(), '-P', String(node.port), address()];
    assert.equal((await run('sftp', args, batch)).status, 0);
    const copy = await stat(join(node.home.directory, 'with space and ü'));
    const original = await stat(source);
    assert.equal(copy.mode & 0o777, 0o751);
    assert.equal(Math.floor(copy.mtimeMs / 1000), Math.floor(original.mtimeMs / 1000));
  });

  test('sftp errors keep their kind', async () => {
    await mkdir(join(node.home.directory, 'full'));
    await writeFile(join(node.home.directory, 'full', 'x'), '');
    const args = ['-q', '-b', '-', ...sshOptions(), '-P', String(node.port), address()];
    for (const [command, text] of [
      ['get nothing-here', /not found|No such file/],
      ['rmdir full', /Failure/],
      ['ls /no/such/dir', /No such file|not found/],
    ] as const) {
      const { status, stderr } = await run('sftp', args, `${command}\n`);
      assert.equal(status, 1, command);
      assert.match(stderr, text);
    }
  });

  test('a directory of 1,000 files is listed whole', async () => {
    await ssh(['mkdir many; cd many; i=0; while [ $i -lt 1000 ]; do : > f$i; i=$((i+1)); done']);
    const args = ['-q', '-b', '-', ...sshOptions(), '-P', String(node.port), address()];
    const { stdout } = await run('sftp', args, 'ls -1 many\n');
    assert.equal(stdout.toString().match(/many\/f\d+/g)?.length, 1000);
  });

  test('ssh2 uploads and downloads with many requests under way', async () => {
    const client = new ssh2.Client();
    const privateKey = await readFile(node.identityFile);
    client.connect({ host: '127.0.0.1', port: node.port, username: 'ubuntu', privateKey });
    await once(client, 'ready');
    const sftp = await new Promise<ssh2.SFTPWrapper>((resolve, reject) => {
      client.sftp((error, channel) => (error === undefined ? resolve(channel) : reject(error)));
    });
    const done = (call: (callback: (error?: Error | null) => void) => void): Promise<void> =>
      new Promise((resolve, reject) => {
        call((error) => (error === undefined || error === null ? resolve() : reject(error)));
      });
    await writeFile(join(root, 'fast-source'), data);
    await done((callback) => sftp.fastPut(join(root, 'fast-source'), 'fast', callback));
    await done((callback) => sftp.fastGet('fast', join(root, 'fast-result'), callback));
    assert.equal(sha256(await readFile(join(root, 'fast-result'))), sha256(data));
    client.end();
  });

  test('rsync, both ways', async (t) => {
    if (spawnSync('rsync', ['--version']).error !== undefined) {
      t.skip('no rsync');
      return;
    }
    await mkdir(join(root, 'tree', 'deep'), { recursive: true });
    await writeFile(join(root, 'tree', 'deep', 'file'), data);
    const shell = ['ssh', ...sshOptions(), ...portOption()].join(' ');
    const up = await run('rsync', ['-a', '-e', shell, 'tree/', `${address()}:tree/`]);
    assert.deepEqual([up.status, up.stderr], [0, '']);
    const down = await run('rsync', ['-a', '-e', shell, `${address()}:tree/`, 'tree-back/']);
    assert.deepEqual([down.status, down.stderr], [0, '']);
    assert.equal(sha256(await readFile(join(root, 'tree-back', 'deep', 'file'))), sha256(data));
  });

  test('git clones and pushes', async (t) => {
    if (spawnSync('git', ['--version']).error !== undefined) {
      t.skip('no git');
      return;
    }
    const made = await ssh([
      'git init -q --bare repo.git && git init -q w && cd w && echo hello > f && git add f &&' +
        ' git -c user.email=a@b.c -c user.name=n commit -qm one && git push -q ../repo.git HEAD:main',
    ]);
    assert.equal(made.status, 0, made.stderr);
    const env = {
      GIT_SSH_COMMAND: ['ssh', ...sshOptions(), ...portOption()].join(' '),
      GIT_CONFIG_GLOBAL: '/dev/null',
    };
    const clone = await run('git', ['clone', '-q', '-b', 'main', `${address()}:repo.git`, 'clone'], '', env);
    assert.equal(clone.status, 0, clone.stderr);
    assert.equal(await readFile(join(root, 'clone', 'f'), 'utf8'), 'hello\n');
    const push = await run('git', ['-C', 'clone', 'push', '-q', 'origin', 'main:second'], '', env);
    assert.equal(push.status, 0, push.stderr);
  });
});

describe('forwards', LIMIT, () => {
  test('-L and -R, with half-closes both ways', async (t) => {
    const server = await TestServer.start(shout);
    const [local, remote] = [await freePort(), await freePort()];
    const to = `127.0.0.1:${server.address.port}`;
    const child = start('ssh', [
      ...sshOptions(),
      ...portOption(),
      ...['-o', 'ExitOnForwardFailure=yes', '-L', `${local}:${to}`, '-R', `${remote}:${to}`],
      address(),
      'echo up; exec sleep 1000',
    ]);
    t.after(() => {
      child.kill('SIGKILL');
      server.close();
    });
    await once(child.stdout as Readable, 'data');
    const long = 'x'.repeat(3 * MEBIBYTE);
    assert.equal(await exchange(local, 'hello'), 'HELLO');
    assert.equal(await exchange(remote, 'hello'), 'HELLO');
    assert.equal(await exchange(local, long), long.toUpperCase());
    child.kill('SIGKILL');
    await until('the end of the connection', () => node.connections === 0);
    await assert.rejects(exchange(remote, 'hello'));
  });

  test('unix sockets, both ways', async (t) => {
    const server = net.createServer({ allowHalfOpen: true }, shout);
    const target = join(root, 'target.sock');
    server.listen(target);
    const [local, remote] = [join(root, 'local.sock'), join(root, 'remote.sock')];
    const child = start('ssh', [
      ...sshOptions(),
      ...portOption(),
      ...['-o', 'ExitOnForwardFailure=yes', '-L', `${local}:${target}`, '-R', `${remote}:${target}`],
      address(),
      'echo up; exec sleep 1000',
    ]);
    t.after(() => {
      child.kill('SIGKILL');
      server.close();
    });
    await once(child.stdout as Readable, 'data');
    for (const path of [local, remote]) {
      const socket = net.connect({ path, allowHalfOpen: true });
      socket.end('hello');
      assert.equal((await collect(socket)).toString(), 'HELLO', path);
    }
  });

  test('a refused connection is refused to the client', async () => {
    const closed = await freePort();
    const args = [...sshOptions(), ...portOption(), '-W', `127.0.0.1:${closed}`, address()];
    const { status, stderr } = await run('ssh', args);
    assert.equal(status, 255);
    assert.match(stderr, /open failed|forwarding failed/);
  });

  test("the node's own port 22 is its SSH server", async () => {
    const args = [...sshOptions(), ...portOption(), '-W', 'localhost:22', address()];
    const child = start('ssh', args);
    const [banner] = (await once(child.stdout as Readable, 'data')) as [Buffer];
    assert.match(banner.toString(), /^SSH-2\.0-/);
    child.kill('SIGKILL');
  });
});

describe('logging in', LIMIT, () => {
  function connect(options: Partial<ssh2.ConnectConfig>): Promise<string> {
    const client = new ssh2.Client();
    return new Promise((resolve) => {
      client.once('ready', () => {
        client.end();
        resolve('ready');
      });
      client.on('error', (error) => resolve(error.message));
      client.connect({ host: '127.0.0.1', port: node.port, username: 'ubuntu', ...options });
    });
  }

  test('the right password is taken, a wrong one, another user and another key are not', async () => {
    const key = await readFile(node.identityFile);
    const refused = /All configured authentication methods failed/;
    assert.equal(await connect({ password: 'a secret' }), 'ready');
    assert.match(await connect({ password: 'a guess' }), refused);
    assert.match(await connect({ username: 'root', password: 'a secret' }), refused);
    assert.match(await connect({ username: 'root', privateKey: key }), refused);
    assert.match(await connect({ privateKey: generateSshKeyPair('other').privateKey }), refused);
    assert.equal(await connect({ privateKey: key }), 'ready');
  });

  test('without the option there is no password login', async (t) => {
    const options = { directory: join(root, 'nodes'), hostname: 'worker-1', user: 'ubuntu', log: silentLog };
    const other = await startNodeSsh(options);
    t.after(() => other.close());
    assert.match(await connect({ port: other.port, password: '' }), /authentication methods failed/);
  });

  test('the host key is the one announced', async () => {
    let seen = '';
    const privateKey = await readFile(node.identityFile);
    const hostVerifier = (key: Buffer): boolean => {
      seen = fingerprint(key);
      return true;
    };
    assert.equal(await connect({ privateKey, hostVerifier }), 'ready');
    assert.equal(seen, node.hostKeyFingerprint);
  });

  test('what is no SSH is dropped and harms nobody', async () => {
    const socket = net.connect({ port: node.port, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await collect(socket);
    assert.equal((await ssh(['true'])).status, 0);
  });

  test('keepalives of the client are answered', async () => {
    const args = [
      ...sshOptions(),
      ...portOption(),
      '-o',
      'ServerAliveInterval=1',
      '-o',
      'ServerAliveCountMax=1',
    ];
    const { status, stdout } = await run('ssh', [...args, address(), 'sleep 3; echo alive']);
    assert.deepEqual([status, stdout.toString()], [0, 'alive\n']);
  });
});

describe('keys and the end of a node', LIMIT, () => {
  test('the identity file is private and shared by nodes of one directory; host keys differ and stay', async (t) => {
    assert.equal((await stat(node.identityFile)).mode & 0o777, 0o600);
    const options = { directory: join(root, 'nodes'), user: 'ubuntu', log: silentLog };
    const other = await startNodeSsh({ ...options, hostname: 'worker-2' });
    t.after(() => other.close());
    assert.equal(other.identityFile, node.identityFile);
    assert.notEqual(other.hostKeyFingerprint, node.hostKeyFingerprint);
    await other.close();
    const again = await startNodeSsh({ ...options, hostname: 'worker-2' });
    t.after(() => again.close());
    assert.equal(again.hostKeyFingerprint, other.hostKeyFingerprint);
  });

  test('nodes that start at the same time agree on the key', async () => {
    const directory = join(root, 'together');
    const names = ['a', 'b', 'c', 'd', 'e'];
    const nodes = await Promise.all(
      names.map((hostname) => startNodeSsh({ directory, hostname, user: 'ubuntu', log: silentLog })),
    );
    const args = (target: NodeSsh): string[] => [
      ...sshOptions(target),
      '-p',
      String(target.port),
      address(target),
      'hostname',
    ];
    const outcomes = await Promise.all(nodes.map((target) => run('ssh', args(target))));
    assert.deepEqual(
      outcomes.map(({ stdout }) => stdout.toString().trim()),
      names,
    );
    await Promise.all(nodes.map((target) => target.close()));
  });

  test('every generated key is taken by ssh-keygen and by ssh2, also one whose public half begins with zero', async () => {
    const path = join(root, 'generated');
    let hasZero = false;
    for (let count = 0; count < 20 || !hasZero; count += 1) {
      const pair = generateSshKeyPair('test key');
      const parsed = ssh2.utils.parseKey(pair.privateKey);
      assert.equal(parsed instanceof Error, false);
      const blob = Buffer.from(pair.publicKey.split(' ')[1] ?? '', 'base64');
      hasZero ||= blob[19] === 0;
      if (count >= 5 && blob[19] !== 0) continue;
      await writeFile(path, pair.privateKey, { mode: 0o600 });
      const { status, stdout, stderr } = await run('ssh-keygen', ['-y', '-f', path]);
      assert.equal(status, 0, stderr);
      assert.equal(stdout.toString().trim(), pair.publicKey);
    }
  });

  test('closing a node cuts its connections and kills everything it ever started, daemons too', async () => {
    const options = { directory: join(root, 'nodes'), user: 'ubuntu', log: silentLog };
    const doomed = await startNodeSsh({ ...options, hostname: 'doomed' });
    const args = [...sshOptions(doomed), '-p', String(doomed.port), address(doomed)];
    const child = start('ssh', [...args, 'setsid sleep 1000 >/dev/null 2>&1 & echo $!; exec sleep 1000']);
    const [line] = (await once(child.stdout as Readable, 'data')) as [Buffer];
    const pid = Number(line.toString());
    assert.equal(isRunning(pid), true);
    const idle = net.connect({ port: doomed.port, host: '127.0.0.1' });
    idle.on('error', () => {});
    await once(idle, 'data');
    const ends = [once(child, 'close'), once(idle, 'close')];
    await doomed.close();
    await doomed.close();
    await Promise.all(ends);
    if (process.platform === 'linux') await until('the end of the daemon', () => !isRunning(pid));
  });
});
