/** Programs that the demo runs: to their end, within a time limit, with what they wrote and when. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  /** Milliseconds from the start to the line of stderr that `watchFor` matches; undefined: none did. */
  readonly watchedAfterMs: number | undefined;
}

export interface RunOptions {
  /** Removed at the end: what ssm-proxy would remember between runs is kept there, not in the user's home. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly watchFor?: RegExp;
}

const TIME_LIMIT_MS = 60_000;

/** Rejects when the program fails, with the end of what it said. */
export function runProgram(command: string, args: readonly string[], options: RunOptions): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = spawn(command, args, {
      env: { ...withoutOurVariables(process.env), ...stateIn(options.folder), ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: options.signal,
    });
    const limit = setTimeout(() => {
      reject(new Error(`${command} ${args.join(' ')} did not end within ${TIME_LIMIT_MS / 1000} s`));
      child.kill();
    }, TIME_LIMIT_MS);
    let stdout = '';
    let stderr = '';
    let watchedAfterMs: number | undefined;
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      if (options.watchFor?.test(stderr) === true) watchedAfterMs ??= performance.now() - startedAt;
    });
    child.on('error', reject);
    child.on('close', (status, signal) => {
      clearTimeout(limit);
      if (status === 0) resolve({ stdout, stderr, watchedAfterMs });
      else reject(new Error(`${command} ended with ${String(status ?? signal)}: ${lastLines(stderr)}`));
    });
  });
}

export function hasProgram(name: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The caller's own settings for ssm-proxy must not decide how the demo goes. */
export function withoutOurVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('SSM_PROXY_')));
}

function stateIn(folder: string): Readonly<Record<string, string>> {
  return { XDG_STATE_HOME: folder, XDG_CACHE_HOME: folder, XDG_RUNTIME_DIR: folder };
}

function lastLines(text: string): string {
  const lines = text.trim().split('\n');
  const told = lines.filter((line) => !line.startsWith('debug1:'));
  return (told.length > 0 ? told : lines).slice(-4).join(' / ');
}
