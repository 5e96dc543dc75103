/**
 * stdin and stdout of this process, joined to the keeper's socket. It ends when the socket does, when the reader of
 * stdout or the parent has gone, or on a signal; the keeper and its session go on.
 */
import type { Socket } from 'node:net';
import { ProxyError } from '../errors.ts';
import type { SharedOutcome } from '../keeper/client.ts';
import type { ConnectArgs } from './connect-args.ts';
import type { CliIo } from './io.ts';
import { ShutdownWatch } from './shutdown-watch.ts';
import { StatusLine } from './status-line.ts';

type OpenStream = Extract<SharedOutcome, { kind: 'open' }>;

/** What a shell shows for a program that SIGPIPE ended. */
const EXIT_READER_GONE = 141;

export class SharedPipe {
  /** Set when something on this side ended it. */
  exitStatus: number | undefined;
  readonly #io: CliIo;
  readonly #args: ConnectArgs;
  readonly #status: StatusLine;
  readonly #watch: ShutdownWatch;
  readonly #abort = new AbortController();
  readonly #limit: NodeJS.Timeout;
  #stage = 'asking the keeper';
  #isTimeUp = false;
  readonly #connectTimeoutMs: number;

  /** `connectTimeoutMs`: from now to the first byte. */
  constructor(io: CliIo, args: ConnectArgs, connectTimeoutMs: number) {
    this.#io = io;
    this.#args = args;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#status = new StatusLine(io, args.quiet);
    this.#watch = new ShutdownWatch({
      onShutdown: (exitStatus) => this.#shutDown(exitStatus),
      isOrphanIdle: () => io.stdin.readableEnded || io.stdin.isPaused() || !io.stdin.readableFlowing,
    });
    this.#watch.start();
    this.#limit = setTimeout(() => {
      this.#isTimeUp = true;
      this.#abort.abort();
    }, connectTimeoutMs);
  }

  /** Aborted when this side gives up. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The connect timeout is over, and there is no byte yet. */
  get isTimeUp(): boolean {
    return this.#isTimeUp;
  }

  timedOut(): ProxyError {
    const seconds = Math.round(this.#connectTimeoutMs / 100) / 10;
    return new ProxyError(
      'CONNECT_TIMEOUT',
      `no connection to ${this.#args.target} within ${seconds} s (${this.#stage})`,
      { hint: 'see the keeper with ssm-proxy status, or raise --connect-timeout' },
    );
  }

  /** A few words for the status line. */
  enter(stage: string): void {
    this.#stage = stage;
    this.#status.show(stage);
  }

  /** Resolves with the exit status when all output has left. What the stream broke with, PORT_SILENT. */
  async carry({ socket, instanceId, why }: OpenStream): Promise<number> {
    const where = `port ${this.#args.port} of ${instanceId}`;
    this.enter(`waiting for ${where}`);
    const { hasHeard, hasInputEnded } = await this.#join(socket);
    if (this.exitStatus !== undefined) return this.exitStatus;
    if (this.#isTimeUp) throw silent(where, 'sent nothing in time');
    // The far end was first: it may have had a reason.
    const error = hasInputEnded && hasHeard ? undefined : await why();
    if (error !== undefined) throw error;
    if (hasHeard || hasInputEnded) return 0;
    throw silent(where, 'ended the connection without a byte');
  }

  /** Resolves when it is over. */
  #join(socket: Socket): Promise<{ readonly hasHeard: boolean; readonly hasInputEnded: boolean }> {
    const { stdin, stdout } = this.#io;
    return new Promise((resolve) => {
      let hasHeard = false;
      let hasInputEnded = false;
      const end = (): void => {
        socket.destroy();
        stdin.destroy();
        resolve({ hasHeard, hasInputEnded });
      };
      this.#abort.signal.addEventListener('abort', end);
      if (this.#abort.signal.aborted) return end();
      stdout.on('error', () => this.#shutDown(EXIT_READER_GONE));
      stdout.on('close', () => this.#shutDown(EXIT_READER_GONE));
      stdin.on('error', () => socket.end());
      stdin.once('end', () => {
        hasInputEnded = true;
        this.#watch.inputEnded();
      });
      socket.once('data', () => {
        hasHeard = true;
        clearTimeout(this.#limit);
        this.#status.clear();
      });
      // A keeper that was killed resets what it has not read.
      socket.on('error', () => {});
      socket.once('close', () => {
        // In order: what was written before this has left by then.
        if (stdout.writable && stdout.writableLength > 0) stdout.write('', end);
        else end();
      });
      socket.once('end', () => {
        // The far end is done: what it would still be told has no reader.
        stdin.unpipe(socket);
        socket.end();
      });
      stdin.pipe(socket);
      socket.pipe(stdout, { end: false });
    });
  }

  /** Lets signals, parent and time be. Idempotent. */
  stop(): void {
    clearTimeout(this.#limit);
    this.#status.clear();
    this.#watch.stop();
  }

  #shutDown(exitStatus: number): void {
    if (this.exitStatus !== undefined) return;
    this.exitStatus = exitStatus;
    this.#io.onEnding?.(exitStatus);
    this.#abort.abort();
  }
}

function silent(where: string, what: string): ProxyError {
  return new ProxyError('PORT_SILENT', `${where} ${what}`, {
    hint: 'check that sshd runs there and listens on this port',
  });
}
