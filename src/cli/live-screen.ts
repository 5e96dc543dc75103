/**
 * A text that is drawn again and again: over the last one on a terminal, in a screen of its own that is gone
 * afterwards; one after the other where there is no cursor to move.
 */
import type { CliIo } from './io.ts';
import { writeOut } from './output.ts';

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_TO_END_OF_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';

export class LiveScreen {
  readonly #io: Pick<CliIo, 'stdout' | 'env'>;
  readonly #hasCursor: boolean;
  #isEntered = false;
  /** Also when the process ends in a way that nobody foresaw. */
  readonly #onExit = (): void => this.leave();

  constructor(io: Pick<CliIo, 'stdout' | 'env'>) {
    this.#io = io;
    this.#hasCursor = io.stdout.isTTY === true && io.env['TERM'] !== 'dumb';
  }

  /** Lines that do not fit the height are left out, and counted. */
  async draw(text: string): Promise<void> {
    if (!this.#hasCursor) {
      await writeOut(this.#io.stdout, text);
      return;
    }
    if (!this.#isEntered) process.on('exit', this.#onExit);
    const start = this.#isEntered ? HOME : ENTER + HOME;
    this.#isEntered = true;
    const lines = text.trimEnd().split('\n');
    const room = Math.max(2, (this.#io.stdout.rows ?? 24) - 1);
    const shown = lines.slice(0, lines.length > room ? room - 1 : room);
    if (shown.length < lines.length) shown.push(`... and ${lines.length - shown.length} more lines`);
    const drawn = shown.map((line) => `${line}${CLEAR_TO_END_OF_LINE}\n`).join('');
    await writeOut(this.#io.stdout, `${start}${drawn}${CLEAR_BELOW}`);
  }

  /** The terminal as it was. Idempotent. */
  leave(): void {
    if (!this.#isEntered) return;
    this.#isEntered = false;
    process.off('exit', this.#onExit);
    this.#io.stdout.write(LEAVE);
  }
}
