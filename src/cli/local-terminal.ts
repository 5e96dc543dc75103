/**
 * The user's terminal: raw while a session has it, restored whatever ends the program (also what nobody caught and
 * process.exit; only SIGKILL leaves no chance).
 *
 * Node's raw mode leaves the processing of output on, which turns the far side's line feeds into carriage return and
 * line feed and so breaks full-screen programs: `stty` switches it off. What Node saved is restored as a whole.
 */
import { spawnSync } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { ReadStream } from 'node:tty';
import type { TerminalSize } from '../protocol/payloads.ts';
import type { CliIo } from './io.ts';

/** Told when there is no terminal: wide, so that line editors do not wrap. The official client says the same. */
const NO_TERMINAL_SIZE: TerminalSize = { cols: 300, rows: 100 };

type Screen = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };

export class LocalTerminal {
  readonly #input: Readable & Partial<Pick<ReadStream, 'isTTY' | 'setRawMode'>>;
  readonly #screen: Screen | undefined;
  readonly #onExit = (): void => this.restore();
  #isRaw = false;
  #onResize: (() => void) | undefined;

  constructor(io: Pick<CliIo, 'stdin' | 'stdout' | 'stderr'>) {
    this.#input = io.stdin;
    const screens: Screen[] = [io.stdout, io.stderr];
    this.#screen = screens.find((stream) => stream.isTTY === true);
  }

  /** The user types on it. */
  get isInteractive(): boolean {
    return this.#input.isTTY === true;
  }

  get size(): TerminalSize {
    const { columns = 0, rows = 0 } = this.#screen ?? {};
    return columns > 0 && rows > 0 ? { cols: columns, rows } : NO_TERMINAL_SIZE;
  }

  /** Every key is a byte for the far side, Ctrl-C too. Does nothing where the input is no terminal. */
  makeRaw(): void {
    if (!this.isInteractive || this.#isRaw) return;
    this.#isRaw = true;
    process.on('exit', this.#onExit);
    this.#input.setRawMode?.(true);
    // Without stty, screens of some programs look worse; nothing else.
    spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  }

  /** As it was. Idempotent. */
  restore(): void {
    if (!this.#isRaw) return;
    this.#isRaw = false;
    process.off('exit', this.#onExit);
    try {
      this.#input.setRawMode?.(false);
    } catch {
      // The terminal has gone.
    }
  }

  /** Calls back on every change of the size, until `close`. */
  watchSize(onResize: () => void): void {
    this.#onResize = onResize;
    this.#screen?.on('resize', onResize);
  }

  close(): void {
    this.restore();
    if (this.#onResize !== undefined) this.#screen?.off('resize', this.#onResize);
  }
}
