/** A real sshd on a free port of 127.0.0.1, for the user who runs the tests, with keys of its own. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { generateSshKeyPair } from '../../src/emulator/node-keys.ts';
import { findProgram } from './programs.ts';
import { until } from './until.ts';

export interface Sshd {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly identityFile: string;
  /** Keys that may log in besides, one a line; read for every login. */
  readonly pushedKeysFile: string;
  /** As in known_hosts: type and key. */
  readonly hostKey: string;
  close(): Promise<void>;
}

/** Another program may take the free port between the look and the start. */
const MAX_STARTS = 5;

/** Starts sshd with its files below `directory`, which must exist. Rejects when it does not come up. */
export async function startSshd(directory: string): Promise<Sshd> {
  const program = findProgram('sshd');
  if (program === undefined) throw new Error('sshd is not installed');
  const user = userInfo().username;
  const identityFile = join(directory, 'id_ed25519');
  const hostKeyFile = join(directory, 'ssh_host_ed25519_key');
  const home = join(directory, 'home');
  mkdirSync(home, { mode: 0o700 });
  const hostKey = writeKey(hostKeyFile);
  writeFileSync(join(directory, 'authorized_keys'), `${writeKey(identityFile)}\n`, { mode: 0o600 });
  // Debian's sshd wants its empty folder when it can become another user.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });

  let lastLog = '';
  for (let start = 0; start < MAX_STARTS; start += 1) {
    const port = await freePort();
    const configFile = join(directory, 'sshd_config');
    writeFileSync(configFile, configuration(directory, { port, hostKeyFile, home }));
    const daemon = spawn(program, ['-D', '-e', '-f', configFile], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '' },
    });
    let log = '';
    daemon.stderr.on('data', (data: Buffer) => (log += data.toString('utf8')));
    daemon.on('error', (error) => (log += error.message));
    await until('sshd listens or ends', () => log.includes('Server listening') || hasEnded(daemon));
    if (!hasEnded(daemon)) {
      return {
        host: '127.0.0.1',
        ...{ port, user, identityFile, hostKey },
        pushedKeysFile: join(directory, 'pushed_keys'),
        close: () => stop(daemon),
      };
    }
    lastLog = log;
  }
  throw new Error(`sshd does not start: ${lastLog}`);
}

function configuration(
  directory: string,
  { port, hostKeyFile, home }: { port: number; hostKeyFile: string; home: string },
): string {
  return [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKeyFile}`,
    `AuthorizedKeysFile ${join(directory, 'authorized_keys')} ${join(directory, 'pushed_keys')}`,
    'PidFile none',
    // The files are below a temporary folder that others may write to.
    'StrictModes no',
    'UsePAM no',
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    // Ten connections at once must not meet the random early drop of connections that have not logged in.
    'MaxStartups 100',
    'PrintMotd no',
    'PrintLastLog no',
    'Subsystem sftp internal-sftp',
    // Shell start-up files of the user stay out of the tests.
    `SetEnv HOME=${home}`,
    '',
  ].join('\n');
}

/** Returns the public half as one line. */
function writeKey(file: string): string {
  // Not ssh2's own generator: one in some hundreds of its keys is unusable.
  const { privateKey, publicKey } = generateSshKeyPair('test');
  writeFileSync(file, privateKey, { mode: 0o600 });
  return publicKey;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function stop(daemon: ChildProcess): Promise<void> {
  if (hasEnded(daemon)) return;
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  daemon.kill('SIGTERM');
  await ended;
}
