/** Finds a moment in which nobody waits for this process: for work that blocks it for some milliseconds. */

/** Between two looks. Milliseconds. */
const LOOK_EVERY_MS = 2_000;
/** More bytes than this between two looks are somebody's transfer; keystrokes and their echo are less. */
const CALM_BYTES = 4_096;

export class CalmWatch {
  readonly #movedBytes: () => number;
  readonly #onCalm: () => void;
  #seenBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `movedBytes`: in both directions since the start. `onCalm` is called once. */
  constructor(movedBytes: () => number, onCalm: () => void) {
    this.#movedBytes = movedBytes;
    this.#onCalm = onCalm;
  }

  start(): void {
    this.#seenBytes = this.#movedBytes();
    this.#timer = setTimeout(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #look(): void {
    if (this.#movedBytes() - this.#seenBytes > CALM_BYTES) this.start();
    else this.#onCalm();
  }
}
