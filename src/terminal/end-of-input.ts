/**
 * The end of piped input, told to a program on a terminal of the far side: Ctrl-D on a line of its own, once the far
 * side has been quiet for a moment, and again for as long as it goes on.
 *
 * Once would not do. A Ctrl-D that arrives while a command runs waits in the terminal's queue, and a shell with a line
 * editor that then switches the terminal to raw mode reads it as a NUL.
 */

/** Quiet of the far side before the first Ctrl-D, and before each further one. Milliseconds. */
const FIRST_QUIET_MS = 300;
const NEXT_QUIET_MS = 1_000;
const LF = 0x0a;
const CTRL_D = 0x04;

export class EndOfInput {
  readonly #send: (data: Buffer) => void;
  #lastByte = LF;
  #hasEnded = false;
  #times = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(send: (data: Buffer) => void) {
    this.#send = send;
  }

  /** Input that went to the far side. */
  saw(data: Buffer): void {
    this.#lastByte = data.at(-1) ?? this.#lastByte;
  }

  /** There is no more input. */
  ended(): void {
    this.#hasEnded = true;
    this.#arm();
  }

  /** The far side has said something. */
  heard(): void {
    if (this.#hasEnded) this.#arm();
  }

  stop(): void {
    this.#hasEnded = false;
    clearTimeout(this.#timer);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(), this.#times === 0 ? FIRST_QUIET_MS : NEXT_QUIET_MS);
  }

  #tell(): void {
    const isFirst = this.#times === 0;
    this.#times += 1;
    this.#send(isFirst && this.#lastByte !== LF ? Buffer.of(LF, CTRL_D) : Buffer.of(CTRL_D));
    this.#arm();
  }
}
