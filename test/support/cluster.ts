/**
 * A private cluster for end-to-end tests: the emulator in this process, real OpenSSH and the built dist/cli.cjs as
 * their own processes with an environment that knows nothing else of this machine.
 *
 * Behind the first node stands a real sshd where one is installed, behind the others the built-in SSH server.
 * After every case `checkNothingLeft` looks for what it may have left: processes (by a variable that all of them
 * inherit), sessions, sockets, temporary files.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import { cliPath } from './cli.ts';
import type { Program, ProgramOptions, ProgramResult } from './programs.ts';
import { findProgram, processesMarked, startProgram } from './programs.ts';
import type { Sshd } from './sshd.ts';
import { startSshd } from './sshd.ts';
import { until } from './until.ts';

export interface FarEnd {
  readonly name: string;
  /** Private IP of the node. */
  readonly host: string;
  /** Why it cannot be tested here, or false. */
  readonly skip: string | false;
}

/** Known before a cluster exists, so that tests can be declared from it. */
export const FAR_ENDS: readonly FarEnd[] = [
  {
    name: 'real sshd',
    host: '10.0.1.10',
    skip: findProgram('sshd') === undefined && 'sshd is not installed',
  },
  { name: 'built-in server', host: '10.0.1.11', skip: false },
];
/** Environment of a program whose uploads have no pace. */
export const NO_PACE = { SSM_PROXY_PACE: 'off' } as const;
/** A node with the built-in server, where the far end does not matter. */
export const NODE = '10.0.1.11';

/** The promise is 2 s after ssh; the rest is for a loaded machine. */
const GONE_MS = 5_000;
/** The service gives an agent that does not answer 3 s before a session is over. */
const ENDED_MS = 5_000;
const MARK = 'SSM_PROXY_TEST_RUN';

export interface ClusterOptions {
  readonly tls?: boolean;
  readonly nodes?: number;
  /** Default true. */
  readonly withSshd?: boolean;
}

export type RunOptions = Partial<Omit<ProgramOptions, 'env'>> & {
  /** Added to the environment; an empty text takes a variable out. */
  readonly env?: Readonly<Record<string, string>>;
};

export interface Cluster {
  readonly emulator: Emulator;
  /** Private, for files of tests; not looked at by `checkNothingLeft`. */
  readonly directory: string;
  /** XDG_STATE_HOME of the programs. */
  readonly stateHome: string;
  readonly sshConfigFile: string;
  readonly env: Readonly<Record<string, string>>;
  instanceId(privateIp: string): string;
  start(program: string, args: readonly string[], options?: RunOptions): Program;
  run(program: string, args: readonly string[], options?: RunOptions): Promise<ProgramResult>;
  /** `ssh -F <the cluster's config>` and these arguments. */
  startSsh(args: readonly string[], options?: RunOptions): Program;
  ssh(args: readonly string[], options?: RunOptions): Promise<ProgramResult>;
  /** Words that start the built program. */
  readonly cliCommand: readonly [string, string];
  /** The built program itself. */
  startCli(args: readonly string[], options?: RunOptions): Program;
  cli(args: readonly string[], options?: RunOptions): Promise<ProgramResult>;
  /** What was started here and still runs, as 'pid command line'. */
  processes(): string[];
  /** Rejects unless everything that was started is gone within the promised time. */
  checkNothingLeft(): Promise<void>;
  /** No pace and no rate limit on either side, for bulk data in tests that are not about them. */
  liftPaces(): void;
  /** Makes the service healthy again and the agents usual ones; forgets shared lookups. */
  reset(): void;
  close(): Promise<void>;
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const directory = mkdtempSync(join(tmpdir(), 'ssm-proxy-e2e-'));
  const folder = (name: string): string => {
    mkdirSync(join(directory, name), { mode: 0o700 });
    return join(directory, name);
  };
  const sshd = await startRealSshd(options.withSshd ?? true, () => folder('sshd'));
  const emulator = await startEmulator({
    nodes: options.nodes ?? 3,
    tls: options.tls ?? false,
    directory: folder('emulator'),
    ...(sshd === undefined ? {} : { sshTarget: sshd }),
  });
  const home = folder('home');
  const temporary = folder('tmp');
  const stateHome = folder('state');
  const runtime = folder('run');
  const cache = folder('cache');
  const mark = randomUUID();
  const sshConfigFile = join(directory, 'ssh_config');
  writeFileSync(join(directory, 'known_hosts'), knownHosts(emulator, sshd));
  writeFileSync(sshConfigFile, sshConfig(emulator, directory));
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    XDG_STATE_HOME: stateHome,
    // Compiled code: kept on purpose, too.
    XDG_CACHE_HOME: cache,
    // Where processes take turns and share lookups: kept on purpose.
    XDG_RUNTIME_DIR: runtime,
    TMPDIR: temporary,
    SHELL: '/bin/sh',
    LC_ALL: 'C',
    AWS_ENDPOINT_URL: emulator.endpoint,
    AWS_REGION: emulator.region,
    AWS_ACCESS_KEY_ID: emulator.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: emulator.credentials.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
    ...(emulator.caFile === null ? {} : { AWS_CA_BUNDLE: emulator.caFile }),
    [MARK]: mark,
  };
  const start: Cluster['start'] = (program, args, runOptions = {}) => {
    const merged = Object.entries({ ...env, ...runOptions.env }).filter(([, value]) => value !== '');
    return startProgram(program, args, { cwd: directory, ...runOptions, env: Object.fromEntries(merged) });
  };
  const startSsh: Cluster['startSsh'] = (args, runOptions) =>
    start('ssh', ['-F', sshConfigFile, ...args], runOptions);
  const startCli: Cluster['startCli'] = (args, runOptions) =>
    start(process.execPath, [cliPath, ...args], runOptions);
  const processes = (): string[] => processesMarked(MARK, mark);
  const { controls } = emulator;
  return {
    emulator,
    directory,
    stateHome,
    sshConfigFile,
    env,
    instanceId: (privateIp) => {
      const found = emulator.instances.find((instance) => instance.privateIp === privateIp);
      assert.ok(found !== undefined, `there is a node ${privateIp}`);
      return found.instanceId;
    },
    start,
    run: (program, args, runOptions) => start(program, args, runOptions).finished,
    startSsh,
    ssh: (args, runOptions) => startSsh(args, runOptions).finished,
    cliCommand: [process.execPath, cliPath],
    startCli,
    cli: (args, runOptions) => startCli(args, runOptions).finished,
    processes,
    async checkNothingLeft() {
      const left = (): readonly string[] => [
        ...processes().map((line) => `process ${line}`),
        ...(controls.state().openSockets === 0 ? [] : [`${controls.state().openSockets} sockets`]),
        ...filesBelow(temporary),
        ...filesBelow(home),
        // Flight records are meant to stay, records of sessions are not.
        ...filesBelow(join(stateHome, 'ssm-proxy', 'sessions')),
      ];
      const sessions = (): readonly string[] =>
        controls
          .sessions()
          .filter(({ status, hasClient }) => hasClient || (status !== 'Terminated' && status !== 'Failed'))
          .map(({ sessionId, status }) => `session ${sessionId} is ${status}`);
      try {
        await expectNone(left, GONE_MS);
        await expectNone(sessions, ENDED_MS);
      } finally {
        // What one test has left must not fail the next ones too.
        for (const { sessionId } of controls.sessions()) controls.terminateSession(sessionId);
      }
    },
    liftPaces() {
      controls.changeFaults({ rateLimit: { messagesPerSecond: 0 } });
      controls.changeBehaviour({ paceMs: 0 });
    },
    reset() {
      // What one test has looked up must not answer another.
      rmSync(join(runtime, 'ssm-proxy'), { recursive: true, force: true });
      controls.resetFaults();
      for (const { instanceId } of emulator.instances) {
        controls.changeBehaviour({ ...USUAL_BEHAVIOUR }, instanceId);
      }
    },
    async close() {
      await emulator.close();
      await sshd?.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** What is left when the time is up is shown. */
async function expectNone(left: () => readonly string[], limitMs: number): Promise<void> {
  const end = performance.now() + limitMs;
  await until('nothing is left, or the time is up', () => left().length === 0 || performance.now() > end);
  assert.deepEqual(left(), []);
}

/** Directories may stay: programs make them once for what they keep while they run. */
function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => !isDirectory(path))
    .map((path) => `file ${path}`);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? true;
}

/** What tests change about agents. */
const USUAL_BEHAVIOUR = { paceMs: 1, dialDelayMs: 0, handshakeDelayMs: 0, portFailureMs: 60_000 } as const;

async function startRealSshd(isWanted: boolean, makeFolder: () => string): Promise<Sshd | undefined> {
  return isWanted && findProgram('sshd') !== undefined ? startSshd(makeFolder()) : undefined;
}

/** Host keys that are known: ssh has nothing to say about them. */
function knownHosts(emulator: Emulator, sshd: Sshd | undefined): string {
  const keys = sshd === undefined ? [] : [sshd.hostKey];
  for (const { name } of emulator.instances) {
    const file = join(emulator.directory, name, 'ssh_host_ed25519_key');
    const text = readIfThere(file);
    if (text === undefined) continue;
    const key = ssh2.utils.parseKey(text);
    if (key instanceof Error) throw key;
    keys.push(`${key.type} ${key.getPublicSSH().toString('base64')}`);
  }
  return keys.map((key) => `* ${key}\n`).join('');
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function sshConfig(emulator: Emulator, directory: string): string {
  const lines = emulator.instances.flatMap(({ privateIp, instanceId, name, user, identityFile }) => [
    `Host ${privateIp} ${instanceId} ${name}`,
    `    User ${user}`,
    `    IdentityFile "${identityFile ?? ''}"`,
  ]);
  const quote = (path: string): string => `'${path.replaceAll("'", "'\\''").replaceAll('%', '%%')}'`;
  lines.push(
    'Host *',
    `    ProxyCommand ${quote(process.execPath)} ${quote(cliPath)} connect %h %p`,
    `    UserKnownHostsFile "${join(directory, 'known_hosts')}"`,
    '    GlobalKnownHostsFile /dev/null',
    '    StrictHostKeyChecking yes',
    '    IdentitiesOnly yes',
    '    IdentityAgent none',
    '    PreferredAuthentications publickey',
    '    BatchMode yes',
    '',
  );
  return lines.join('\n');
}
