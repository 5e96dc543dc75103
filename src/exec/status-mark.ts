/**
 * The exit status of an interactive command, which Session Manager does not tell: the command's shell says it in a
 * string that terminals ignore (ESC _ ... ESC \), and it is taken out of the output here. A first such string is sent
 * before the command, so that the session is known to be up although the command is silent.
 */
import { quoteWords } from './command-line.ts';

const START = '\x1b_';
const END = '\x1b\\';
/** Longest rest of a mark after its beginning, in bytes. */
const MAX_REST = 16;
const BODY = /^(start|\d{1,3})$/;

/**
 * The text for the document. `nonce`: letters and digits that the output cannot know. Most agents give the text to
 * `sh -c`; one in a container splits it into words and runs the first. A program and its arguments suits both.
 */
export function markedCommand(argv: readonly string[], nonce: string): string {
  const script = [
    `m() { printf '\\033_ssm-proxy:${nonce}:%s\\033\\\\' "$1"; }`,
    'm start; "$@"; s=$?; m "$s"; exit "$s"',
  ].join('\n');
  return quoteWords(['sh', '-c', script, 'ssm-proxy', ...argv]);
}

export class StatusMarks {
  readonly #start: Buffer;
  #held = Buffer.alloc(0);
  #exitStatus: number | undefined;

  constructor(nonce: string) {
    this.#start = Buffer.from(`${START}ssm-proxy:${nonce}:`, 'latin1');
  }

  /** Known once the command has ended. */
  get exitStatus(): number | undefined {
    return this.#exitStatus;
  }

  /** The output without the marks. The beginning of one that may go on in the next chunk is held back. */
  push(chunk: Buffer): Buffer {
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const clean: Buffer[] = [];
    for (;;) {
      const at = bytes.indexOf(this.#start);
      if (at < 0) break;
      const bodyAt = at + this.#start.length;
      const endAt = bytes.indexOf(END, bodyAt, 'latin1');
      if (endAt < 0 && bytes.length - bodyAt <= MAX_REST) {
        clean.push(bytes.subarray(0, at));
        this.#held = Buffer.from(bytes.subarray(at));
        return join(clean);
      }
      const body = endAt < 0 ? '' : bytes.toString('latin1', bodyAt, Math.min(endAt, bodyAt + MAX_REST));
      if (!BODY.test(body)) {
        // No mark of ours, whatever it is.
        clean.push(bytes.subarray(0, bodyAt));
        bytes = bytes.subarray(bodyAt);
        continue;
      }
      clean.push(bytes.subarray(0, at));
      if (body !== 'start') this.#exitStatus = Number(body);
      bytes = bytes.subarray(endAt + END.length);
    }
    const kept = this.#unfinished(bytes);
    clean.push(bytes.subarray(0, bytes.length - kept));
    this.#held = Buffer.from(bytes.subarray(bytes.length - kept));
    return join(clean);
  }

  /** What was held back and turned out to be no mark. */
  end(): Buffer {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }

  /** Length of the longest end of `bytes` that is a beginning of a mark. */
  #unfinished(bytes: Buffer): number {
    for (let length = Math.min(bytes.length, this.#start.length - 1); length > 0; length -= 1) {
      if (bytes.subarray(bytes.length - length).equals(this.#start.subarray(0, length))) return length;
    }
    return 0;
  }
}

function join(parts: readonly Buffer[]): Buffer {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
}
