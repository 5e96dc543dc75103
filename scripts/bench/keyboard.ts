/** A program with a terminal on the node, typed into by pipe: the time from a key to its echo. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import type { Cloud } from './cloud.ts';

const KEY = 'k';
/** A bound for an echo that never comes. Milliseconds. */
const ECHO_LIMIT_MS = 60_000;

export class Keyboard {
  readonly #child: ChildProcessWithoutNullStreams;
  #heard = '';
  #onHeard: () => void = () => {};
  #onEnd: () => void = () => {};

  constructor({ env }: Cloud, [command = '', ...args]: readonly string[]) {
    this.#child = spawn(command, args, { env, stdio: 'pipe' });
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.resume();
    this.#child.once('exit', () => this.#onEnd());
    this.#child.stdout.on('data', (data: Buffer) => {
      this.#heard += data.toString('latin1');
      this.#onHeard();
    });
  }

  /** Starts a command that is to read the keys. */
  async run(line: string): Promise<void> {
    // Put together there, so that the echo of the line is not taken for it.
    this.#child.stdin.write(`echo rea''dy; ${line}\n`);
    await this.#until('ready');
    await this.echoMs();
  }

  async echoMs(): Promise<number> {
    this.#heard = '';
    const startedAt = performance.now();
    this.#child.stdin.write(KEY);
    await this.#until(KEY);
    return performance.now() - startedAt;
  }

  close(): void {
    this.#child.kill('SIGTERM');
  }

  #until(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(limit);
        reject(new Error(`${why} without ${text}: ${this.#heard.slice(-200)}`));
      };
      const limit = setTimeout(() => fail('the time is up'), ECHO_LIMIT_MS);
      this.#onEnd = () => fail('the program has ended');
      this.#onHeard = () => {
        if (!this.#heard.includes(text)) return;
        clearTimeout(limit);
        resolve();
      };
      this.#onHeard();
    });
  }
}
