/**
 * A real terminal for tests: a program in a window of a private tmux server, keys sent to it, its screen read as text.
 * The window stays when the program has ended, so that the last screen and the exit status can be read.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './until.ts';

export interface TerminalOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly columns?: number;
  readonly rows?: number;
}

export class Terminal {
  readonly #server = `ssm-proxy-${randomUUID()}`;
  readonly #options: TerminalOptions;
  readonly #statusFile: string;

  /** `command`: a line for sh. */
  constructor(command: string, options: TerminalOptions) {
    this.#options = options;
    this.#statusFile = join(options.cwd, `status-${this.#server}`);
    const { columns = 80, rows = 24, cwd } = options;
    this.#tmux(
      ...['new-session', '-d', '-x', String(columns), '-y', String(rows), '-c', cwd, 'exec cat'],
      ...[';', 'set-option', '-g', 'remain-on-exit', 'on', ';', 'set-option', '-g', 'history-limit', '50000'],
      // The window that counts is made with those options.
      // tmux itself does not always learn the status of a program whose terminal closed first.
      ...[';', 'respawn-pane', '-k', `(${command}); printf %s "$?" > '${this.#statusFile}'`],
    );
  }

  /** The visible screen, without trailing blank lines. */
  screen(): string {
    return this.#tmux('capture-pane', '-p').trimEnd();
  }

  /** Everything since the start. */
  history(): string {
    return this.#tmux('capture-pane', '-p', '-J', '-S', '-').trimEnd();
  }

  /** Types text as it is. */
  type(text: string): void {
    this.#tmux('send-keys', '-l', '--', text);
  }

  /** Presses keys by their tmux names: Enter, C-c, ... */
  press(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  /** Pastes a text of any length, without brackets around it. */
  paste(text: string): void {
    execFileSync('tmux', ['-L', this.#server, 'load-buffer', '-'], { input: text, env: this.#env() });
    this.#tmux('paste-buffer');
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** Process ID of the program. */
  get pid(): number {
    return Number(this.#tmux('display-message', '-p', '#{pane_pid}'));
  }

  /** Exit status of the program; undefined while it runs. */
  get exitStatus(): number | undefined {
    const text = existsSync(this.#statusFile) ? readFileSync(this.#statusFile, 'utf8') : '';
    return text === '' ? undefined : Number(text);
  }

  async shows(what: RegExp): Promise<void> {
    try {
      await until(`the screen shows ${String(what)}`, () => what.test(this.screen()));
    } catch (error) {
      throw new Error(`${String(error)}; it shows:\n${this.screen()}`, { cause: error });
    }
  }

  async ended(): Promise<number> {
    return until('the program ends', () => this.exitStatus);
  }

  close(): void {
    spawnSync('tmux', ['-L', this.#server, 'kill-server'], { env: this.#env() });
  }

  #env(): NodeJS.ProcessEnv {
    return { ...this.#options.env, TERM: 'xterm-256color', LC_ALL: 'C.UTF-8' };
  }

  #tmux(...args: readonly string[]): string {
    return execFileSync('tmux', ['-L', this.#server, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      env: this.#env(),
      cwd: this.#options.cwd,
    }).replace(/\n$/, '');
  }
}
