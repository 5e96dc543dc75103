/** One command on one node, without a terminal: its output as it comes, and its exit status. */
import { ProxyError } from '../errors.ts';
import { openSession } from '../open-session.ts';
import type { OpenSessionDependencies, SessionRequest, StartedSession } from '../open-session.ts';
import { commandPurpose } from '../command-purposes.ts';
import type { DocumentParameters } from '../session-purpose.ts';
import type { Session, SessionOutcome } from '../session/session.ts';
import { argvOf, quoteWords } from './command-line.ts';
import { FrameReader, framedCommand } from './output-frames.ts';

export type OutputStream = 'stdout' | 'stderr';

export interface CommandRequest extends Omit<SessionRequest, 'purpose'> {
  /** One word: a line for the node's shell; several: program and arguments. */
  readonly words: readonly string[];
  /** Default AWS-StartNonInteractiveCommand. */
  readonly document: string | undefined;
  readonly parameters: DocumentParameters;
  /** The words go to the agent as they are, without the script of output-frames.ts. */
  readonly isRaw: boolean;
}

export interface CommandEvents {
  onStage?(stage: string): void;
  onStarted?(started: StartedSession): void;
  onTerminated?(): void;
  onNotice?(text: string): void;
  /** Output; `done` when it has left. */
  onOutput(data: Buffer, stream: OutputStream, done: () => void): void;
}

export interface CommandResult {
  /** Undefined: the document does not tell it (raw commands only). */
  readonly exitStatus: number | undefined;
}

/**
 * Resolves when the command has ended and all its output was given to `onOutput` and is done. Rejects with the errors
 * of openSession, SESSION_ENDED when the session ended before the command told its status, CANCELLED.
 */
export async function runCommand(
  request: CommandRequest,
  dependencies: OpenSessionDependencies,
  events: CommandEvents,
  signal: AbortSignal,
): Promise<CommandResult> {
  const run = new CommandRun(request.isRaw, events);
  const session = await openSession(
    { ...request, purpose: purposeOf(request) },
    dependencies,
    {
      onStage: (stage) => events.onStage?.(stage),
      onStarted: (started) => events.onStarted?.(started),
      onTerminated: () => events.onTerminated?.(),
      onReady: () => {},
      onData: (data, stream) => run.receive(data, stream),
      onWritable: () => {},
      onDrained: () => {},
      onNotice: (text) => events.onNotice?.(text),
      onExitCode: (exitCode) => run.exitCode(exitCode),
      onEnd: (outcome) => run.ended(outcome),
    },
    signal,
  );
  run.attach(session);
  const onAbort = (): void => void session.terminate({ kind: 'failed', error: cancelled(signal) });
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await run.result;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function purposeOf({ words, document, parameters, isRaw }: CommandRequest) {
  const command = isRaw ? quoteWords(words) : framedCommand(argvOf(words));
  return commandPurpose({ command, isInteractive: false, document, parameters });
}

function cancelled(signal: AbortSignal): ProxyError {
  return new ProxyError('CANCELLED', 'cancelled while the command ran', { cause: signal.reason });
}

class CommandRun {
  readonly result: Promise<CommandResult>;
  readonly #isRaw: boolean;
  readonly #events: CommandEvents;
  readonly #readers: Readonly<Record<OutputStream, FrameReader>>;
  #session: Session | undefined;
  /** Of the script. */
  #status: number | undefined;
  /** Of the agent. */
  #exitCode: number | undefined;
  #openPieces = 0;
  #outcome: SessionOutcome | undefined;
  /** Pieces of the message that is being read. */
  #pieces: { readonly data: Buffer; readonly stream: OutputStream }[] = [];
  #resolve: (result: CommandResult) => void = () => {};
  #reject: (error: ProxyError) => void = () => {};

  constructor(isRaw: boolean, events: CommandEvents) {
    this.#isRaw = isRaw;
    this.#events = events;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // It may fail while nobody waits yet.
    this.result.catch(() => {});
    const reader = (): FrameReader =>
      new FrameReader({
        onBytes: (data, stream) => this.#pieces.push({ data, stream }),
        onStatus: (status) => (this.#status = status),
      });
    this.#readers = { stdout: reader(), stderr: reader() };
  }

  attach(session: Session): void {
    this.#session = session;
  }

  receive(data: Buffer, stream: OutputStream): void {
    if (this.#isRaw) this.#pieces.push({ data, stream });
    else {
      try {
        this.#readers[stream].push(data);
      } catch (error) {
        if (!(error instanceof ProxyError)) throw error;
        void this.#session?.terminate({ kind: 'failed', error });
      }
    }
    this.#passOn(data.length);
  }

  exitCode(exitCode: number): void {
    this.#exitCode = exitCode;
  }

  ended(outcome: SessionOutcome): void {
    this.#outcome = outcome;
    if (!this.#isRaw) {
      for (const reader of Object.values(this.#readers)) reader.end();
    }
    this.#passOn(0);
    this.#settle();
  }

  /** Gives the pieces of a message on; the message is consumed when the last of them has left. */
  #passOn(messageBytes: number): void {
    const pieces = this.#pieces;
    this.#pieces = [];
    let left = pieces.length;
    if (left === 0) {
      if (messageBytes > 0) this.#session?.consumed(messageBytes);
      return;
    }
    this.#openPieces += left;
    for (const { data, stream } of pieces) {
      this.#events.onOutput(data, stream, () => {
        left -= 1;
        this.#openPieces -= 1;
        if (left === 0 && messageBytes > 0) this.#session?.consumed(messageBytes);
        this.#settle();
      });
    }
  }

  #settle(): void {
    const outcome = this.#outcome;
    if (outcome === undefined || this.#openPieces > 0) return;
    if (outcome.kind === 'failed') {
      this.#reject(outcome.error);
      return;
    }
    const exitStatus = this.#status ?? (this.#isRaw ? this.#exitCode : undefined);
    if (exitStatus !== undefined || this.#isRaw) {
      this.#resolve({ exitStatus });
      return;
    }
    this.#reject(
      new ProxyError('SESSION_ENDED', 'the session ended before the command had told its exit status', {
        hint: 'the command, or the SSM agent, may have been killed on the instance',
      }),
    );
  }
}
