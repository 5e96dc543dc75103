/** One `connect` that runs as long as the benchmark wants it, and what it has cost. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { cliPath } from '../../test/support/cli.ts';
import type { Cloud } from './cloud.ts';
import { GREETING } from './far-end.ts';
import { cpuMsOf } from './process-cost.ts';

export interface ConnectedOptions {
  /** Of `connect`, after the address. */
  readonly args?: readonly string[];
  /** A shell command whose output it sends once `go` is called; then its input stays open. Default: nothing. */
  readonly sends?: string;
}

export class Connected {
  readonly pid: number;
  /** Resolves when the far end has greeted. */
  readonly isIn: Promise<void>;
  readonly #child: ChildProcess;
  readonly #source: ChildProcess;
  #receivedBytes = 0;
  #wake: () => void = () => {};

  constructor({ env }: Pick<Cloud, 'env'>, host: string, { args = [], sends = ':' }: ConnectedOptions = {}) {
    // A process of its own, so that this one carries no bytes.
    const script = `read -r; ${sends}; exec sleep 1000`;
    this.#source = spawn('bash', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'] });
    // As many at once as wanted: what an account allows per second is not the question.
    const command = [cliPath, 'connect', host, '--start-rate', '0', ...args];
    const { stdout: input } = this.#source;
    const child = spawn(process.execPath, command, { env, stdio: [input, 'pipe', 'pipe'] });
    // The other end is with `connect` now.
    input?.destroy();
    this.#child = child;
    this.pid = child.pid ?? 0;
    let stderr = '';
    // Three pipes were asked for.
    const [, stdout, errors] = child.stdio as unknown as [null, Readable, Readable];
    errors.on('data', (data: Buffer) => (stderr += data.toString()));
    stdout.on('data', (data: Buffer) => {
      this.#receivedBytes += data.length;
      this.#wake();
    });
    const failed = once(child, 'exit').then(([status]) => {
      throw new Error(`connect ended with ${String(status)}: ${stderr}`);
    });
    failed.catch(() => {});
    this.isIn = Promise.race([this.#until(GREETING.length), failed]);
  }

  get cpuMs(): number {
    return cpuMsOf(this.pid);
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Begins to send. */
  go(): void {
    this.#source.stdin?.write('\n');
  }

  /** Resolves when so many bytes have come, without the greeting. */
  received(bytes: number): Promise<void> {
    return this.#until(bytes + GREETING.length);
  }

  async close(): Promise<void> {
    this.#source.kill();
    if (!this.isRunning) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill();
    await exit;
  }

  async #until(bytes: number): Promise<void> {
    while (this.#receivedBytes < bytes) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}
