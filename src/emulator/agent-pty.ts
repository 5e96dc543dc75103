/**
 * A pseudo terminal without native modules: `script` of util-linux holds it and passes bytes on; the command inside
 * tells its terminal's name over an extra pipe, and `stty` on that name resizes it. Where there is no such `script`
 * (macOS, Windows, busybox) the command runs on plain pipes: no echo, no size, no job control.
 */
import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { TerminalSize } from '../protocol/payloads.ts';

export interface PtyOptions {
  /** A shell command line. */
  readonly command: string;
  /** Absolute path of the shell that runs it. */
  readonly shell: string;
  readonly size: TerminalSize;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Pty {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** False when the command runs on pipes. */
  readonly isTerminal: boolean;
  resize(size: TerminalSize): void;
  /** Signals the processes of the terminal; they also get SIGHUP when the terminal goes with `kill('SIGKILL')`. */
  kill(signal: NodeJS.Signals): void;
  /** Called once, after the last output was read: exit status, or the signal's name. */
  onClose(callback: (status: number | null, signal: NodeJS.Signals | null) => void): void;
}

const MAX_CELLS = 10_000;
const DEFAULT_SIZE: TerminalSize = { cols: 80, rows: 24 };
/** Longest report of the command inside: a path and a process ID. */
const MAX_REPORT_BYTES = 256;

let scriptCheck: Promise<boolean> | undefined;

/** True when `script` of util-linux is installed. Asked once per process. */
export function hasPseudoTerminals(): Promise<boolean> {
  scriptCheck ??= new Promise((resolve) => {
    execFile('script', ['--version'], { timeout: 5000 }, (error, stdout) => {
      resolve(error === null && stdout.includes('util-linux'));
    });
  });
  return scriptCheck;
}

/** Starts a command on a terminal, or on pipes. Rejects only when the shell cannot be started. */
export async function startPty(options: PtyOptions): Promise<Pty> {
  return (await hasPseudoTerminals()) ? new ScriptPty(options) : new PipePty(options);
}

class ScriptPty implements Pty {
  readonly isTerminal = true;
  readonly #child: ChildProcess;
  readonly stdin: Writable;
  readonly stdout: Readable;
  #terminal: string | undefined;
  #leader: number | undefined;
  /** Asked for before the terminal's name was known. */
  #pendingSize: TerminalSize | undefined;
  #isGone = false;

  constructor(options: PtyOptions) {
    const { cols, rows } = usableSize(options.size);
    // The first line runs on the terminal itself: it reports where it is and sets the first size.
    const inside =
      `{ tty; echo $$; } >&3; exec 3>&-; stty cols ${cols} rows ${rows} 2>/dev/null\n` + options.command;
    const child = spawn('script', ['--quiet', '--return', '--command', inside, '/dev/null'], {
      cwd: options.cwd,
      env: { ...options.env, SHELL: options.shell },
      stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
      detached: true,
    });
    this.#child = child;
    this.stdin = streamOf(child.stdin);
    this.stdout = streamOf(child.stdout);
    this.#listenForReport(child.stdio[3] as Readable);
    child.once('exit', () => {
      this.#isGone = true;
    });
    child.once('error', () => {
      this.#isGone = true;
    });
  }

  resize(size: TerminalSize): void {
    if (this.#terminal === undefined) {
      this.#pendingSize = size;
      return;
    }
    const { cols, rows } = usableSize(size);
    execFile('stty', ['-F', this.#terminal, 'cols', String(cols), 'rows', String(rows)], () => {
      // A terminal that has gone meanwhile needs no size.
    });
  }

  kill(signal: NodeJS.Signals): void {
    if (this.#leader !== undefined) signalGroup(this.#leader, signal);
    // Without its holder the terminal hangs up: every process on it gets SIGHUP.
    if (signal === 'SIGKILL' && !this.#isGone) this.#child.kill('SIGKILL');
  }

  onClose(callback: (status: number | null, signal: NodeJS.Signals | null) => void): void {
    reportClose(this.#child, callback);
  }

  #listenForReport(pipe: Readable): void {
    let text = '';
    pipe.on('error', () => {});
    // No wait for its end: `script` itself keeps the pipe open.
    pipe.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('latin1')).slice(0, MAX_REPORT_BYTES);
      const report = /^(\/dev\/[\w/]+)\n(\d+)\n/.exec(text);
      if (report === null || this.#terminal !== undefined) return;
      this.#terminal = report[1];
      this.#leader = Number(report[2]);
      if (this.#pendingSize !== undefined) this.resize(this.#pendingSize);
    });
  }
}

class PipePty implements Pty {
  readonly isTerminal = false;
  readonly #child: ChildProcess;
  readonly stdin: Writable;
  readonly stdout: Readable;

  constructor(options: PtyOptions) {
    const child = spawn(options.shell, ['-c', `exec 2>&1\n${options.command}`], {
      cwd: options.cwd,
      env: { ...options.env, SHELL: options.shell },
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    });
    this.#child = child;
    this.stdin = streamOf(child.stdin);
    this.stdout = streamOf(child.stdout);
    child.once('error', () => {});
  }

  resize(): void {}

  kill(signal: NodeJS.Signals): void {
    if (this.#child.pid !== undefined) signalGroup(this.#child.pid, signal);
  }

  onClose(callback: (status: number | null, signal: NodeJS.Signals | null) => void): void {
    reportClose(this.#child, callback);
  }
}

/** Signals a process group; one that has gone already is no error. */
export function signalGroup(groupId: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-groupId, signal);
  } catch {
    // ESRCH: all gone. EPERM: changed user, nothing to be done.
  }
}

function reportClose(
  child: ChildProcess,
  callback: (status: number | null, signal: NodeJS.Signals | null) => void,
): void {
  let isReported = false;
  const report = (status: number | null, signal: NodeJS.Signals | null): void => {
    if (isReported) return;
    isReported = true;
    callback(status, signal);
  };
  child.once('close', report);
  child.once('error', () => report(127, null));
}

/** A pipe that was asked for; writing into one that closed is no error of ours. */
function streamOf<T extends Readable | Writable>(stream: T | null): T {
  if (stream === null) throw new Error('a pipe of the child process is missing');
  stream.on('error', () => {});
  return stream;
}

/** A size that `stty` takes; clients without a terminal say 0. */
function usableSize(size: TerminalSize): TerminalSize {
  const usable = (cells: number, otherwise: number): number =>
    cells >= 1 ? Math.min(MAX_CELLS, Math.trunc(cells)) : otherwise;
  return { cols: usable(size.cols, DEFAULT_SIZE.cols), rows: usable(size.rows, DEFAULT_SIZE.rows) };
}
