/**
 * Tells a process from a later one with the same process ID: by its start, which the system keeps. The text is only
 * compared, never read.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Milliseconds for `ps`. */
const PS_LIMIT_MS = 2_000;
/** In /proc/PID/stat, counted after the program's name: the 22nd field is the start, in clock ticks after boot. */
const START_FIELD = 19;

/** Undefined when there is no such process. */
export async function processIdentity(pid: number): Promise<string | undefined> {
  return process.platform === 'linux' ? fromProc(pid) : fromPs(pid);
}

async function fromProc(pid: number): Promise<string | undefined> {
  try {
    const [bootId, stat] = await Promise.all([
      readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => ''),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ]);
    // The name is in parentheses and may contain anything, parentheses too.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const start = fields[START_FIELD - 1];
    // Z: it has ended, and its parent has not asked yet.
    return start === undefined || state === 'Z' ? undefined : `${bootId.trim()}/${start}`;
  } catch {
    return undefined;
  }
}

async function fromPs(pid: number): Promise<string | undefined> {
  try {
    const options = { timeout: PS_LIMIT_MS, env: { PATH: '/bin:/usr/bin', LC_ALL: 'C', TZ: 'UTC' } };
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)], options);
    return stdout.trim() === '' ? undefined : stdout.trim();
  } catch {
    return undefined;
  }
}

/** The program's name, without arguments (they may hold secrets); undefined where it cannot be known cheaply. */
export async function processName(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  return name.trim() === '' ? undefined : name.trim();
}
