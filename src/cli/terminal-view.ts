/**
 * A session with a terminal on the far side, on the user's terminal or on pipes. On a terminal every key goes to the
 * far side but the escapes (terminal/escape-filter.ts); on pipes all bytes do, and the end of the input as Ctrl-D.
 */
import { constants } from 'node:os';
import { ProxyError } from '../errors.ts';
import { Pump } from '../session/pump.ts';
import type { Session, SessionOutcome } from '../session/session.ts';
import { EndOfInput } from '../terminal/end-of-input.ts';
import { EscapeFilter, escapeHelp } from '../terminal/escape-filter.ts';
import type { EscapeCommand } from '../terminal/escape-filter.ts';
import type { CliIo } from './io.ts';
import type { EndLive, LiveView } from './live-session.ts';
import { LocalTerminal } from './local-terminal.ts';
import { StallNotice } from './stall-notice.ts';

/** As for Ctrl-C: the user has left. */
const EXIT_LEFT = 128 + constants.signals.SIGINT;
/** What a shell shows for a program that SIGPIPE ended. */
const EXIT_READER_GONE = 128 + constants.signals.SIGPIPE;

/** What a command on the terminal says besides its output (exec/status-mark.ts). */
export interface TerminalMarks {
  /** The output without the marks. */
  push(data: Buffer): Buffer;
  end(): Buffer;
  readonly exitStatus: number | undefined;
}

export interface TerminalViewOptions {
  /** The exit status comes with the output, and an end without one is a failure. */
  readonly marks?: TerminalMarks | undefined;
  /** False: whoever waits for this program would not be suspended with it. Default true. */
  readonly canSuspend?: boolean;
}

export class TerminalView implements LiveView {
  readonly #io: CliIo;
  readonly #end: EndLive;
  readonly #terminal: LocalTerminal;
  readonly #pump: Pump;
  readonly #marks: TerminalMarks | undefined;
  readonly #canSuspend: boolean;
  readonly #escapes: EscapeFilter;
  readonly #endOfInput = new EndOfInput((data) => void this.#session?.write(data));
  readonly #stall: StallNotice;
  #session: Session | undefined;
  #isReleased = false;
  readonly #onStop = (): void => this.#suspend();
  readonly #onContinue = (): void => this.#resume();

  constructor(io: CliIo, end: EndLive, { marks, canSuspend = true }: TerminalViewOptions = {}) {
    this.#io = io;
    this.#end = end;
    this.#marks = marks;
    this.#canSuspend = canSuspend;
    this.#escapes = new EscapeFilter(canSuspend);
    this.#terminal = new LocalTerminal(io);
    this.#stall = new StallNotice((text) => this.onNotice(text), this.#terminal.isInteractive);
    this.#pump = new Pump(io.stdin, io.stdout, {
      onInputEnd: () => {
        // A terminal that has gone; its SIGHUP may be on the way.
        if (this.#terminal.isInteractive) end(128 + constants.signals.SIGHUP);
        else this.#endOfInput.ended();
      },
      onOutputGone: () => end(EXIT_READER_GONE),
    });
  }

  onReady(session: Session): void {
    this.#session = session;
    this.#stall.watch(session);
    this.#terminal.makeRaw();
    this.#tellSize();
    this.#terminal.watchSize(() => this.#tellSize());
    if (this.#terminal.isInteractive && this.#canSuspend) {
      process.on('SIGTSTP', this.#onStop);
      process.on('SIGCONT', this.#onContinue);
    }
    this.#pump.attach({
      write: (data) => this.#typed(data),
      consumed: (bytes) => session.consumed(bytes),
    });
    this.#pump.start();
  }

  onData(data: Buffer): void {
    this.#stall.heard();
    this.#endOfInput.heard();
    const clean = this.#marks === undefined ? data : this.#marks.push(data);
    // The pump reports what it was given; the rest is nobody's.
    if (clean.length < data.length) this.#session?.consumed(data.length - clean.length);
    if (clean.length > 0) this.#pump.deliver(clean);
  }

  onWritable(): void {
    this.#pump.onWritable();
  }

  onNotice(text: string): void {
    const lineEnd = this.#terminal.isInteractive ? '\r\n' : '\n';
    const lines = text.split(/\r?\n/).map((line) => `ssm-proxy: ${line}${lineEnd}`);
    // What the far side writes may have left the cursor anywhere.
    this.#io.stderr.write(
      `${this.#terminal.isInteractive && this.#session !== undefined ? '\r\n' : ''}${lines.join('')}`,
    );
  }

  onLink(state: 'lost' | 'restored'): void {
    this.#stall.link(state);
  }

  async finish(outcome: SessionOutcome): Promise<number> {
    const rest = this.#marks?.end();
    if (rest !== undefined && rest.length > 0) this.#pump.deliver(rest);
    await this.#pump.flushed();
    this.release();
    if (outcome.kind === 'failed') throw outcome.error;
    if (this.#marks === undefined) return 0;
    if (this.#marks.exitStatus !== undefined) return this.#marks.exitStatus;
    throw new ProxyError('SESSION_ENDED', 'the session ended before the command had told its exit status', {
      hint: 'the command, or the SSM agent, may have been killed on the instance',
    });
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#stall.stop();
    this.#endOfInput.stop();
    process.off('SIGTSTP', this.#onStop);
    process.off('SIGCONT', this.#onContinue);
    this.#terminal.close();
    this.#pump.stop();
  }

  #typed(data: Buffer): boolean {
    const session = this.#session;
    if (session === undefined) throw new ProxyError('INTERNAL', 'input before there is a session');
    if (!this.#terminal.isInteractive) {
      this.#endOfInput.saw(data);
      return session.write(data);
    }
    let hasRoom = true;
    for (const part of this.#escapes.feed(data)) {
      if (part.kind === 'data') hasRoom = session.write(part.data);
      else this.#escape(part.command);
      if (this.#isReleased) return true;
    }
    return hasRoom;
  }

  #escape(command: EscapeCommand): void {
    switch (command) {
      case 'end':
        this.onNotice('session ended by ~.');
        this.#end(EXIT_LEFT);
        return;
      case 'help':
        this.onNotice(escapeHelp(this.#canSuspend).join('\n'));
        return;
      case 'suspend':
        process.kill(process.pid, 'SIGTSTP');
        return;
    }
  }

  #suspend(): void {
    this.#terminal.restore();
    // SIGTSTP is caught here; this one is not to be caught.
    process.kill(process.pid, 'SIGSTOP');
  }

  #resume(): void {
    if (this.#isReleased) return;
    this.#terminal.makeRaw();
    this.#tellSize();
  }

  #tellSize(): void {
    this.#session?.resize(this.#terminal.size);
  }
}
