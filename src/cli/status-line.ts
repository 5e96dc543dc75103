/**
 * One line on a terminal that says what is being waited for, and is gone before the first byte. Nothing is written
 * when stderr is not a terminal, or one without cursor control.
 */
import type { CliIo } from './io.ts';

/** Short waits show nothing: a line that flashes by helps nobody. Milliseconds. */
const SHOW_AFTER_MS = 400;
const CLEAR_LINE = '\r\x1b[K';

export class StatusLine {
  readonly #stderr: CliIo['stderr'];
  readonly #isUsable: boolean;
  #timer: NodeJS.Timeout | undefined;
  #text = '';
  #isShown = false;

  constructor(io: Pick<CliIo, 'stderr' | 'env'>, isQuiet: boolean) {
    this.#stderr = io.stderr;
    this.#isUsable = !isQuiet && io.stderr.isTTY === true && io.env['TERM'] !== 'dumb';
  }

  /** Replaces the text. */
  show(text: string): void {
    if (!this.#isUsable) return;
    this.#text = text;
    if (this.#isShown) this.#draw();
    else this.#timer ??= setTimeout(() => this.#draw(), SHOW_AFTER_MS);
  }

  /** Erases the line until there is something new to show. */
  pause(): void {
    this.clear();
    this.#timer = undefined;
  }

  /** Erases the line, for good. Idempotent. */
  clear(): void {
    clearTimeout(this.#timer);
    if (this.#isShown) this.#stderr.write(CLEAR_LINE);
    this.#isShown = false;
  }

  #draw(): void {
    this.#isShown = true;
    const width = (this.#stderr.columns ?? 80) - 1;
    this.#stderr.write(CLEAR_LINE + `ssm-proxy: ${this.#text} ...`.slice(0, width));
  }
}
