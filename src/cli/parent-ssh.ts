/**
 * The ssh that runs this process as its ProxyCommand or KnownHostsCommand, and how long it is going to wait. ssh counts ConnectTimeout
 * until the far end's banner, through a ProxyCommand too, and then ends its proxy without a word: our own error has to
 * come before that.
 *
 * Read from /proc, so on Linux only: elsewhere it would take a process of its own.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { sshConnectTimeoutMs, sshIgnoresHostKeys } from './ssh-arguments.ts';

export const DEFAULT_CONNECT_TIMEOUT_MS = 30_000;
/** ssh has the time to show our last line. At most this, and a fifth of short times. Milliseconds. */
const MARGIN_MS = 500;
const MARGIN_SHARE = 0.2;
/** ssh runs `$SHELL -c "exec ..."`; a wrapper script without exec stays in between. */
const MAX_GENERATIONS = 3;
const OWN_LIMIT = '--connect-timeout';
const SHELLS: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'zsh', 'ksh', 'fish', 'env', 'node']);

export interface ParentSsh {
  /** The program itself, as a path that can be run. */
  readonly program: string;
  /** Without the program's name. */
  readonly args: readonly string[];
}

/** The ssh above `pid`'s parent; undefined when there is none, or nothing can be read. */
export function findParentSsh(parentPid: number = process.ppid, proc = '/proc'): ParentSsh | undefined {
  let pid = parentPid;
  for (let generation = 0; generation < MAX_GENERATIONS && pid > 1; generation += 1) {
    const words = commandLine(pid, proc);
    const [program = '', ...args] = words;
    // A login shell has a hyphen before its name.
    const name = basename(program).replace(/^-/, '');
    if (name === 'ssh') return { program: `${proc}/${pid}/exe`, args };
    if (!SHELLS.has(name)) return undefined;
    pid = parentOf(pid, proc);
  }
  return undefined;
}

/** ConnectTimeout of that ssh; undefined when it has none, or nothing can be read. */
export function parentSshTimeoutMs(parentPid: number = process.ppid, proc = '/proc'): number | undefined {
  const ssh = findParentSsh(parentPid, proc);
  return ssh === undefined ? undefined : sshConnectTimeoutMs(ssh.args);
}

/** The ssh that runs this process was told on its command line to take any host key. False when nothing can be read. */
export function parentSshIgnoresKeys(parentPid: number = process.ppid, proc = '/proc'): boolean {
  return sshIgnoresHostKeys(findParentSsh(parentPid, proc)?.args ?? []);
}

export interface ConnectTimes {
  /** Milliseconds until the first byte. */
  readonly connectTimeoutMs: number;
  /** What set it, for hints. */
  readonly limitName: string;
  /** The time is ssh's: it goes on while we wait for anything. */
  readonly isSshWaiting: boolean;
}

/**
 * The time that there is. What was asked for counts, but never beyond the end of the ssh above; without a word from
 * anybody it is 30 s. `elapsedMs`: since this process started, which ssh has waited already.
 */
export function connectTimes(
  askedMs: number | undefined,
  sshMs: number | undefined,
  elapsedMs: number,
): ConnectTimes {
  if (sshMs === undefined) {
    const connectTimeoutMs = askedMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    return { connectTimeoutMs, limitName: OWN_LIMIT, isSshWaiting: false };
  }
  const leftMs = Math.max(1, sshMs - Math.min(MARGIN_MS, sshMs * MARGIN_SHARE) - elapsedMs);
  if (askedMs !== undefined && askedMs <= leftMs) {
    return { connectTimeoutMs: askedMs, limitName: OWN_LIMIT, isSshWaiting: true };
  }
  return { connectTimeoutMs: Math.round(leftMs), limitName: 'ConnectTimeout of ssh', isSshWaiting: true };
}

function commandLine(pid: number, proc: string): readonly string[] {
  try {
    return readFileSync(`${proc}/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** 0 when it cannot be read. The name in parentheses may hold anything, parentheses too. */
function parentOf(pid: number, proc: string): number {
  try {
    const text = readFileSync(`${proc}/${pid}/stat`, 'latin1');
    const [, , parent = '0'] = text.slice(text.lastIndexOf(')') + 1).split(' ');
    return Number(parent);
  } catch {
    return 0;
  }
}
