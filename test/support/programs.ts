/** Runs real programs (ssh, scp, git, the built ssm-proxy) and keeps what they print. A program that hangs is killed. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { spawnSync } from 'node:child_process';

export interface ProgramResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** From the start to the end of both outputs. */
  readonly durationMs: number;
}

export interface ProgramOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Written and ended. Default: an empty input. */
  readonly input?: string | Buffer;
  /** True: `stdin` stays open, for the caller to write and end. */
  readonly keepsInput?: boolean;
  /** False: the caller reads `stdout`. */
  readonly keepsOutput?: boolean;
  readonly timeLimitMs?: number;
}

export interface Program {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Printed until now. */
  outputSoFar(): string;
  errorsSoFar(): string;
  /** Bytes read from stdout until now, also when they are not kept. */
  receivedBytes(): number;
  readonly finished: Promise<ProgramResult>;
}

const TIME_LIMIT_MS = 120_000;

/** Starts a program in a session of its own: no terminal, and no signal meant for the tests. */
export function startProgram(command: string, args: readonly string[], options: ProgramOptions): Program {
  const startedAt = performance.now();
  const child = spawn(command, args, { env: options.env, cwd: options.cwd, detached: true });
  const { stdin, stdout, stderr } = child;
  const limit = setTimeout(() => killGroup(child), options.timeLimitMs ?? TIME_LIMIT_MS);
  const output: Buffer[] = [];
  let receivedBytes = 0;
  let errors = '';
  const keepsOutput = options.keepsOutput ?? true;
  stdout.on('data', (data: Buffer) => {
    receivedBytes += data.length;
    if (keepsOutput) output.push(data);
  });
  stderr.on('data', (data: Buffer) => (errors += data.toString('utf8')));
  // It may end before it has read all of its input.
  stdin.on('error', () => {});
  if (options.keepsInput !== true) stdin.end(options.input ?? '');
  const finished = new Promise<ProgramResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      clearTimeout(limit);
      const durationMs = performance.now() - startedAt;
      resolve({ status, signal, stdout: Buffer.concat(output), stderr: errors, durationMs });
    });
  });
  finished.catch(() => clearTimeout(limit));
  return {
    child,
    pid: child.pid ?? 0,
    stdin,
    stdout,
    outputSoFar: () => Buffer.concat(output).toString('utf8'),
    errorsSoFar: () => errors,
    receivedBytes: () => receivedBytes,
    finished,
  };
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

/** Absolute path of a program, sbin folders included; undefined: not installed. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin'];
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** For `{ skip }`: false, or why the test cannot run here. */
export function skipWithout(...names: readonly string[]): string | false {
  const missing = names.filter((name) => findProgram(name) === undefined);
  return missing.length === 0 ? false : `not installed: ${missing.join(', ')}`;
}

/** Processes with `name=value` in their environment, as 'pid command line'. */
export function processesMarked(name: string, value: string): string[] {
  const mark = `${name}=${value}`;
  if (!existsSync('/proc/self/environ')) {
    const { stdout } = spawnSync('ps', ['axeww', '-o', 'pid=,command='], { encoding: 'utf8' });
    return stdout.split('\n').filter((line) => line.includes(mark));
  }
  const found: string[] = [];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(mark)) continue;
      found.push(`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')}`);
    } catch {
      // It has just ended, or is not ours to look at.
    }
  }
  return found;
}
