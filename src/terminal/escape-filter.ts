/**
 * The escapes of a terminal session, as in ssh: `~` at the start of a line begins one. They are read here and never
 * reach the far side, so a session whose far side is dead can still be left.
 */

export type EscapeCommand = 'end' | 'suspend' | 'help';

export type FilteredInput =
  | { readonly kind: 'data'; readonly data: Buffer }
  | { readonly kind: 'command'; readonly command: EscapeCommand };

const TILDE = 0x7e;
const CR = 0x0d;
const LF = 0x0a;
const COMMANDS: ReadonlyMap<number, EscapeCommand> = new Map([
  [0x2e, 'end'], // .
  [0x1a, 'suspend'], // Ctrl-Z
  [0x3f, 'help'], // ?
]);

export function escapeHelp(canSuspend: boolean): readonly string[] {
  return [
    'escapes, at the start of a line:',
    ' ~.   end the session',
    ...(canSuspend ? [' ~^Z  suspend ssm-proxy'] : []),
    ' ~?   this text',
    ' ~~   one ~',
  ];
}

export class EscapeFilter {
  readonly #canSuspend: boolean;
  #isAtLineStart = true;
  /** A `~` is held back until the byte after it is known. */
  #holdsTilde = false;

  /** `canSuspend` false: `~^Z` is no escape. */
  constructor(canSuspend = true) {
    this.#canSuspend = canSuspend;
  }

  /** What a chunk of input means, in order. Data are views of the chunk where they can be. */
  feed(chunk: Buffer): FilteredInput[] {
    const found: FilteredInput[] = [];
    let from = 0;
    const emit = (to: number): void => {
      if (to > from) found.push({ kind: 'data', data: chunk.subarray(from, to) });
    };
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (this.#holdsTilde) {
        this.#holdsTilde = false;
        const command = COMMANDS.get(byte);
        if (command !== undefined && (command !== 'suspend' || this.#canSuspend)) {
          found.push({ kind: 'command', command });
          from = at + 1;
          // As in ssh the next escape may follow at once.
          this.#isAtLineStart = true;
          continue;
        }
        // Of `~~` the second one stands for both.
        if (byte !== TILDE) found.push({ kind: 'data', data: Buffer.of(TILDE) });
      } else if (byte === TILDE && this.#isAtLineStart) {
        emit(at);
        from = at + 1;
        this.#holdsTilde = true;
        this.#isAtLineStart = false;
        continue;
      }
      this.#isAtLineStart = byte === CR || byte === LF;
    }
    emit(chunk.length);
    return found;
  }
}
