/**
 * CPU time and memory of processes, from outside, so that measuring costs them nothing. Linux: of a running process
 * from /proc (its threads' schedstat counts nanoseconds), of a whole command with its children by bash's `time`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';

export interface CommandCost {
  readonly wallMs: number;
  /** User and system time of the command and of all its children that it waited for. */
  readonly cpuMs: number;
}

type Environment = Readonly<Record<string, string>>;

/** CPU time that a process has used until now, all threads. Milliseconds. */
export function cpuMsOf(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = tasks.reduce((sum, task) => {
    const [onCpu = '0'] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ');
    return sum + Number(onCpu);
  }, 0);
  return nanoseconds / 1e6;
}

/** Most memory that a process has had in RAM until now. MiB. */
export function peakMemoryOf(pid: number): number {
  const [, kibibytes = 'NaN'] =
    /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) / 1024;
}

export interface Memory {
  /** What it has in RAM, pages shared with other processes included. MiB. */
  readonly rssMebibytes: number;
  /** The same, with its share of what it shares: the sum over processes is what they take together. MiB. */
  readonly pssMebibytes: number;
}

/** Memory that processes have in RAM now, all together. */
export function memoryOf(...pids: readonly number[]): Memory {
  const sum = (name: string): number =>
    pids.reduce((total, pid) => {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      const [, kibibytes = 'NaN'] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text) ?? [];
      return total + Number(kibibytes) / 1024;
    }, 0);
  return { rssMebibytes: sum('Rss'), pssMebibytes: sum('Pss') };
}

/** Runs a command to its end. Throws when it fails, with what it said. */
export async function costOf(
  command: readonly string[],
  env: Environment,
  input?: string,
): Promise<CommandCost & { readonly stdout: string }> {
  // File descriptor 3 is for the times: stderr belongs to the command.
  const script = 'TIMEFORMAT="%R %U %S"; { time "$@" 2>&4; } 2>&3';
  const child = spawn('bash', ['-c', script, 'time', ...command], {
    env,
    stdio: ['pipe', 'pipe', 'inherit', 'pipe', 'pipe'],
  });
  const texts = { stdout: '', times: '', stderr: '' };
  const [stdin, , , times, stderr] = child.stdio;
  child.stdout?.on('data', (data: Buffer) => (texts.stdout += data.toString()));
  times?.on('data', (data: Buffer) => (texts.times += data.toString()));
  stderr?.on('data', (data: Buffer) => (texts.stderr += data.toString()));
  stdin?.on('error', () => {});
  stdin?.end(input ?? '');
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${texts.stderr}`);
  const [real = NaN, user = NaN, system = NaN] = texts.times.trim().split(' ').map(Number);
  return { wallMs: real * 1000, cpuMs: (user + system) * 1000, stdout: texts.stdout };
}
