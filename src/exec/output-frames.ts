/**
 * How a command's output and status come through a session that keeps neither.
 *
 * The standard document merges stdout and stderr, tells no exit status, and the agent cuts output on UTF-8 borders:
 * it drops an unfinished character at the end and two of the three bytes of U+FFFD. So the node runs the command in a
 * small POSIX script that sends lines:
 *
 *   1<base64>   bytes of stdout      x<number>   the exit status, last of all
 *   2<base64>   bytes of stderr      !           the node has no base64 or dd
 *
 * The script sends the lines of stderr on stderr where that is another stream than stdout, and else after all of
 * stdout: two writers would tear each other's lines, and a merged output only arrives at the end anyway.
 */
import { ProxyError } from '../errors.ts';
import { quoteWords } from './command-line.ts';

/** Bytes read at once on the node: a pipe's worth, so that few processes are needed for much output. */
const READ_BYTES = 49_152;
/** Longest line that can be one of the script's, in characters. */
const MAX_LINE = 2 * READ_BYTES;

// 3 and 4 are the real stdout and stderr, 5 takes the status, 6 the command's stderr.
const SCRIPT = [
  'exec 3>&1 4>&2',
  'command -v base64 >/dev/null && command -v dd >/dev/null || { echo "!"; exit 127; }',
  // Unquoted on purpose: base64 wraps its lines, printf joins the pieces.
  `e() { while d=$(dd bs=${READ_BYTES} count=1 2>/dev/null | base64) && [ -n "$d" ]; do printf %s "$1" $d '\n'; done; }`,
  'r() { s=$( { { { "$@" 3>&- 4>&- 5>&- 6>&-; echo $? >&5; } 2>&6 | e 1 >&3; } 6>&1 | e 2 >&4; } 5>&1 )',
  'printf "x%s\\n" "$s"; return "$s"; }',
  'if [ /dev/fd/3 -ef /dev/fd/4 ]; then m=$(r "$@" 4>&1); s=$?; printf "%s\\n" "$m"; else r "$@"; s=$?; fi',
  'exit "$s"',
].join('\n');

/** The text for the document: the command in its script. */
export function framedCommand(argv: readonly string[]): string {
  return quoteWords(['sh', '-c', SCRIPT, 'ssm-proxy', ...argv]);
}

export interface FrameEvents {
  onBytes(data: Buffer, stream: 'stdout' | 'stderr'): void;
  onStatus(exitStatus: number): void;
}

const LF = 0x0a;

/** Reads the lines of one stream. What is none of the script's (an error of the agent's own) counts as stderr. */
export class FrameReader {
  readonly #events: FrameEvents;
  #pieces: Buffer[] = [];
  #length = 0;

  constructor(events: FrameEvents) {
    this.#events = events;
  }

  /** Throws SESSION_ENDED when the node cannot run the script. */
  push(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, from)) {
      this.#pieces.push(chunk.subarray(from, at));
      const line = Buffer.concat(this.#pieces);
      this.#pieces = [];
      this.#length = 0;
      from = at + 1;
      this.#line(line, true);
    }
    if (from === chunk.length) return;
    this.#pieces.push(chunk.subarray(from));
    this.#length += chunk.length - from;
    if (this.#length > MAX_LINE) this.end();
  }

  /** What is left without a line end. */
  end(): void {
    if (this.#length === 0) return;
    const rest = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#length = 0;
    this.#line(rest, false);
  }

  #line(line: Buffer, hasEnd: boolean): void {
    const text = line.toString('latin1');
    const body = text.slice(1);
    if (text === '') return;
    if (/^[12]/.test(text) && /^[A-Za-z0-9+/]+={0,2}$/.test(body)) {
      this.#events.onBytes(Buffer.from(body, 'base64'), text.startsWith('1') ? 'stdout' : 'stderr');
    } else if (/^x\d{1,3}$/.test(text)) {
      this.#events.onStatus(Number(body));
    } else if (text === '!') {
      throw new ProxyError('SESSION_ENDED', 'the node has no base64 or dd, which exec needs', {
        hint: 'with --raw the command runs without them; its stderr and exit status are then not told apart',
      });
    } else {
      this.#events.onBytes(hasEnd ? Buffer.concat([line, Buffer.of(LF)]) : line, 'stderr');
    }
  }
}
