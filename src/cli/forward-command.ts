/**
 * The command of `forward -- command`: runs with the terminal and streams of this process, and its exit status is
 * ours. Ctrl-C reaches it by itself, as it is in the same process group; other signals are passed on.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { ProxyError } from '../errors.ts';
import type { Environment } from './option-values.ts';

/** What shells use for a command that was not found, or cannot be run. */
const EXIT_NOT_FOUND = 127;
const EXIT_NOT_RUNNABLE = 126;

export class ForwardCommand {
  /** Its exit status as a shell would show it. Rejects with USAGE when it cannot be started. */
  readonly finished: Promise<number>;
  readonly #child: ChildProcess;

  constructor(words: readonly string[], env: Environment) {
    const [program = '', ...args] = words;
    this.#child = spawn(program, args, { stdio: 'inherit', env: { ...env } });
    this.finished = new Promise((resolve, reject) => {
      this.#child.once('error', (error: NodeJS.ErrnoException) => reject(notStarted(program, error)));
      this.#child.once('exit', (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
    this.finished.catch(() => {});
  }

  /** `exitStatus`: 128 and the number of the signal that this process got. */
  signal(exitStatus: number): void {
    const number = exitStatus - 128;
    // From a terminal it has come to both.
    if (number === constants.signals.SIGINT && process.stdin.isTTY) return;
    this.#child.kill(number);
  }
}

function notStarted(program: string, error: NodeJS.ErrnoException): ProxyError {
  const isMissing = error.code === 'ENOENT';
  return new ProxyError('USAGE', `${program} cannot be run: ${isMissing ? 'not found' : error.message}`, {
    hint: 'give a program of your PATH after --',
    exitStatus: isMissing ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE,
    cause: error,
  });
}
