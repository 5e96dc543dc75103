/**
 * A session that runs a command without a terminal: its stdout and stderr, and its status where the document tells it.
 * The first Ctrl-C is the command's, as the agent passes it on; the second one ends the session.
 */
import { constants } from 'node:os';
import type { Writable } from 'node:stream';
import type { Session, SessionOutcome } from '../../session/session.ts';
import type { CliIo } from '../io.ts';
import type { EndLive, LiveView } from '../live-session.ts';
import { keyOfSignal } from './signal-keys.ts';

const EXIT_READER_GONE = 128 + constants.signals.SIGPIPE;

export class CommandView implements LiveView {
  readonly #io: CliIo;
  #session: Session | undefined;
  #exitCode: number | undefined;
  #unwritten = 0;
  #onWritten: (() => void) | undefined;
  #hasInterrupted = false;

  constructor(io: CliIo, end: EndLive) {
    this.#io = io;
    io.stdout.on('error', () => {
      this.#allWritten();
      end(EXIT_READER_GONE);
    });
  }

  onReady(session: Session): void {
    this.#session = session;
  }

  onData(data: Buffer, stream: 'stdout' | 'stderr'): void {
    const output: Writable = stream === 'stderr' ? this.#io.stderr : this.#io.stdout;
    this.#unwritten += 1;
    output.write(data, () => {
      this.#session?.consumed(data.length);
      this.#unwritten -= 1;
      if (this.#unwritten === 0) this.#allWritten();
    });
  }

  onWritable(): void {}

  onNotice(): void {}

  onExitCode(exitCode: number): void {
    this.#exitCode = exitCode;
  }

  onSignal(exitStatus: number): boolean {
    const key = keyOfSignal(exitStatus);
    if (key === undefined || this.#hasInterrupted) return false;
    this.#hasInterrupted = true;
    this.#session?.write(key);
    return true;
  }

  async finish(outcome: SessionOutcome): Promise<number> {
    if (this.#unwritten > 0) await new Promise<void>((resolve) => (this.#onWritten = resolve));
    if (outcome.kind === 'failed') throw outcome.error;
    return this.#exitCode ?? 0;
  }

  release(): void {}

  #allWritten(): void {
    this.#unwritten = 0;
    this.#onWritten?.();
  }
}
