/** Runs the built program (dist/cli.cjs) as its users do: another process, a clean environment. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Tests are run from the top folder of the project, wherever they were compiled to. */
export const projectRoot = process.cwd();
export const cliPath = join(projectRoot, 'dist', 'cli.cjs');
/** The entry of the drop-in. */
export const pluginPath = join(projectRoot, 'dist', 'session-manager-plugin.cjs');

export interface CliResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** Added to the bare environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments for node itself. */
  readonly nodeArgs?: readonly string[];
  readonly input?: string;
  /** Default: the top folder of the project. */
  readonly cwd?: string;
}

/** Milliseconds after which a program that hangs is killed. */
const TIME_LIMIT_MS = 60_000;

/** Programs are found, and nothing else. Below /dev/null no directory can be made, not even by root. */
export const bareEnvironment: Readonly<Record<string, string>> = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/dev/null',
  XDG_STATE_HOME: '/dev/null',
};

export function spawnCli(args: readonly string[], options: CliOptions = {}): ChildProcessWithoutNullStreams {
  if (!existsSync(cliPath)) throw new Error(`${cliPath} is not built: npm run build`);
  const env = { ...bareEnvironment, ...options.env };
  return spawn(process.execPath, [...(options.nodeArgs ?? []), cliPath, ...args], {
    env,
    cwd: options.cwd,
  });
}

/** Runs to the end. A program that hangs is killed and has a signal. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = spawnCli(args, options);
  const limit = setTimeout(() => child.kill('SIGKILL'), TIME_LIMIT_MS);
  const chunks: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
  child.stdout.on('data', (data: Buffer) => chunks.stdout.push(data));
  child.stderr.on('data', (data: Buffer) => chunks.stderr.push(data));
  // It may end before it has read all of its input.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  try {
    return await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (status, signal) => {
        const text = (name: 'stdout' | 'stderr'): string => Buffer.concat(chunks[name]).toString('utf8');
        resolve({ status, signal, stdout: text('stdout'), stderr: text('stderr') });
      });
    });
  } finally {
    clearTimeout(limit);
  }
}

interface PackageFacts {
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly files: readonly string[];
  readonly scripts: Readonly<Record<string, string>>;
}

export function packageFacts(): PackageFacts {
  return JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as PackageFacts;
}
