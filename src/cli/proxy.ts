/**
 * `ssm-proxy connect`: stdin and stdout of this process, joined to a port of a node.
 *
 * stdout carries the far end's bytes and nothing else. The process ends when the session does, when its reader or
 * its parent has gone, or on a signal; in every case but the first it ends the session, and is gone within 2 s.
 * ssh ends its proxy with SIGHUP and the end of stdin; a killed ssh leaves only the end of stdin.
 */
import type { AwsContext } from '../aws/context.ts';
import { systemClock } from '../clock.ts';
import { asProxyError } from '../errors.ts';
import type { ProxyError } from '../errors.ts';
import { openSession } from '../open-session.ts';
import type { SessionRequest } from '../open-session.ts';
import { FlightRecorder } from '../session/flight-recorder.ts';
import { Pump } from '../session/pump.ts';
import type { Session, SessionOutcome } from '../session/session.ts';
import { CalmWatch } from './calm-watch.ts';
import type { ConnectArgs } from './connect-args.ts';
import { FlightFile } from './flight-file.ts';
import { HalfCloseGrace } from './half-close-grace.ts';
import type { CliIo } from './io.ts';
import type { OpenLog } from './log-file.ts';
import { processFacts } from './session-facts.ts';
import type { PaceFile } from './pace-file.ts';
import { SessionTrace } from './session-trace.ts';
import { ShutdownWatch } from './shutdown-watch.ts';
import { StatusLine } from './status-line.ts';
import { within } from './within.ts';

/** What a shell shows for a program that SIGPIPE ended. */
const EXIT_READER_GONE = 141;
/** Longest wait for the session's record to be removed, or left, on a slow disk. Milliseconds. */
const TRACE_LIMIT_MS = 300;
/** After a failed session, how long TerminateSession may still take to answer. Milliseconds. */
const TERMINATE_ANSWER_MS = 250;

export interface ConnectParts {
  /** Made from the arguments. */
  readonly request: SessionRequest;
  /** Closed when the command ends. */
  readonly log: OpenLog;
  /** Of the request, if somebody has made them before. */
  readonly contexts?: Promise<readonly AwsContext[]> | undefined;
  /** StartSession has answered. */
  readonly onStarted?: (() => void) | undefined;
  /** A moment in which nobody waits for this process, if there is one. */
  readonly onCalm?: (() => void) | undefined;
}

/** Resolves with the exit status; rejects with the ProxyError to be reported. All output has left by then. */
export async function runConnect(args: ConnectArgs, io: CliIo, parts: ConnectParts): Promise<number> {
  const { request, log, contexts } = parts;
  const wallClock = (): number => systemClock.wallNow();
  const recorder = new FlightRecorder(processFacts(systemClock.wallNow()));
  const flightFile = new FlightFile(recorder, io.env, log, wallClock);
  const trace = new SessionTrace(io.env, log, wallClock);
  const status = new StatusLine(io, args.quiet);
  const abort = new AbortController();
  const watch = new ShutdownWatch({
    onShutdown: (exitStatus) => proxy.shutDown(exitStatus),
    isOrphanIdle: () => proxy.cannotHearInput,
  });
  const destination = `${args.target}:${args.port}`;
  const proxy = new Proxy(io, {
    status,
    abort,
    recorder,
    trace,
    destination,
    onInputEnd: () => watch.inputEnded(),
    hooks: parts,
  });
  const paceFile = args.pace.kind === 'auto' ? await openPaceFile(io.env, wallClock) : undefined;
  watch.start();
  flightFile.start();
  io.crashGuard?.takeOver((error) => proxy.crash(error));
  proxy.start();
  try {
    const open = (known: ConnectParts['contexts']): Promise<Session> =>
      openSession(
        paceFile === undefined ? request : { ...request, autoPace: (region) => paceFile.memory(region) },
        { env: io.env, clock: systemClock, log, recorder, contexts: known },
        proxy.sessionEvents,
        abort.signal,
      );
    const session = await open(contexts).catch(async (thrown: unknown) => {
      if (!args.offersLogin || asProxyError(thrown).code !== 'CREDENTIALS_EXPIRED') throw thrown;
      status.pause();
      const { offerLogin } = await import('./login-offer.ts');
      if (!(await offerLogin(args, io, log, abort.signal))) throw thrown;
      // Those from before know only the old login.
      return open(undefined);
    });
    proxy.attach(session);
    return await proxy.finished;
  } catch (thrown) {
    if (proxy.crashError === undefined && proxy.exitStatus !== undefined) return proxy.exitStatus;
    // Side by side with the other file.
    void proxy.endTrace();
    throw await flightFile.explain(proxy.crashError ?? asProxyError(thrown), trace.hasBegun);
  } finally {
    status.clear();
    watch.stop();
    proxy.stop();
    await within(TRACE_LIMIT_MS, Promise.all([proxy.endTrace(), paceFile?.written()]));
    // Connections that were opened ahead and not used.
    void contexts?.then(
      (made) => made.forEach((context) => context.close()),
      () => {},
    );
    log.close();
  }
}

async function openPaceFile(env: CliIo['env'], wallNow: () => number): Promise<PaceFile> {
  const { PaceFile } = await import('./pace-file.ts');
  return new PaceFile(env, wallNow);
}

interface ProxyParts {
  readonly status: StatusLine;
  /** Ends openSession. */
  readonly abort: AbortController;
  readonly recorder: FlightRecorder;
  readonly trace: SessionTrace;
  readonly onInputEnd: () => void;
  readonly hooks: Pick<ConnectParts, 'onStarted' | 'onCalm'>;
  /** Target and port as typed. */
  readonly destination: string;
}

class Proxy {
  readonly finished: Promise<number>;
  readonly sessionEvents: Parameters<typeof openSession>[2];
  /** Set when it is us who end the session. */
  exitStatus: number | undefined;
  /** What nobody caught: a bug of ours, whatever else happened. */
  crashError: ProxyError | undefined;

  readonly #pump: Pump;
  readonly #parts: ProxyParts;
  readonly #onEnding: CliIo['onEnding'];
  /** Resolves when something on this side ends the session. */
  readonly #shutDownAsked: Promise<void>;
  #askShutDown: () => void = () => {};
  #session: Session | undefined;
  /** The service is known to have ended the session. */
  #isOver = false;
  #onTerminated: () => void = () => {};
  #traceEnded: Promise<void> | undefined;
  readonly #grace: HalfCloseGrace;
  readonly #calmWatch: CalmWatch;
  #resolve!: (exitStatus: number) => void;
  #reject!: (error: ProxyError) => void;

  constructor(io: CliIo, parts: ProxyParts) {
    const { status, recorder, trace, destination } = parts;
    this.#parts = parts;
    this.#onEnding = io.onEnding;
    this.#shutDownAsked = new Promise((resolve) => {
      this.#askShutDown = resolve;
    });
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // The outcome may be known before anyone waits for it.
    this.finished.catch(() => {});
    this.#pump = new Pump(io.stdin, io.stdout, {
      onInputEnd: () => {
        parts.onInputEnd();
        this.#grace.begin(this.#session);
      },
      onOutputGone: () => this.shutDown(EXIT_READER_GONE),
    });
    this.#grace = new HalfCloseGrace(this.#pump, () => this.shutDown(0));
    this.#calmWatch = new CalmWatch(
      () => {
        const { sentBytes = 0, receivedBytes = 0 } = this.#session?.stats() ?? {};
        return sentBytes + receivedBytes;
      },
      () => parts.hooks.onCalm?.(),
    );
    this.sessionEvents = {
      onStage: (stage) => {
        recorder.event(systemClock.now(), 'stage', { stage });
        status.show(stage);
      },
      onStarted: (started) => {
        recorder.describe({ sessionId: started.sessionId, instanceId: started.instanceId });
        trace.begin(started, destination);
        parts.hooks.onStarted?.();
      },
      onTerminated: () => {
        this.#isOver = true;
        this.#onTerminated();
      },
      onReady: () => this.#grace.begin(this.#session),
      onData: (data, stream) => {
        status.clear();
        if (stream === 'stderr') io.stderr.write(data);
        this.#pump.deliver(data);
        trace.firstByte();
        this.#grace.begin(this.#session);
      },
      onWritable: () => this.#pump.onWritable(),
      onDrained: () => this.#grace.begin(this.#session),
      onNotice: (text) => {
        status.clear();
        io.stderr.write(`${text.replace(/^/gm, 'ssm-proxy: ')}\n`);
      },
      onEnd: (outcome) => void this.#ended(outcome),
    };
  }

  /** Nothing more will come from stdin, or nothing can be heard from it for now. */
  get cannotHearInput(): boolean {
    return this.#pump.hasInputEnded || this.#pump.isInputPaused;
  }

  start(): void {
    this.#pump.start();
  }

  attach(session: Session): void {
    this.#session = session;
    this.#calmWatch.start();
    if (this.exitStatus === undefined) this.#pump.attach(session);
    else void session.terminate();
  }

  /** Ends the session because of something on this side; the process will exit with `exitStatus`. */
  shutDown(exitStatus: number): void {
    if (this.exitStatus !== undefined) return;
    this.exitStatus = exitStatus;
    this.#onEnding?.(exitStatus);
    this.#parts.recorder.event(systemClock.now(), 'shut_down', { exitStatus });
    this.#grace.stop();
    this.#askShutDown();
    this.#parts.abort.abort();
    void this.#session?.terminate();
  }

  /** Ends the session because of an error that nobody caught. */
  crash(error: ProxyError): void {
    this.crashError = error;
    this.#parts.recorder.event(systemClock.now(), 'crash', {
      error: error.cause instanceof Error ? error.cause.name : undefined,
    });
    this.#askShutDown();
    this.#parts.abort.abort();
    void this.#session?.terminate({ kind: 'failed', error });
  }

  /** The session's record goes when the service has ended the session, and else stays as its trace. */
  endTrace(): Promise<void> {
    this.#traceEnded ??= this.#endTrace();
    return this.#traceEnded;
  }

  async #endTrace(): Promise<void> {
    // A failed session ends before TerminateSession has answered when the channel was closed meanwhile.
    if (!this.#isOver && this.#session !== undefined) {
      await within(TERMINATE_ANSWER_MS, new Promise<void>((resolve) => (this.#onTerminated = resolve)));
    }
    await this.#parts.trace.end(this.#isOver);
  }

  stop(): void {
    this.#grace.stop();
    this.#calmWatch.stop();
    this.#pump.stop();
  }

  async #ended(outcome: SessionOutcome): Promise<void> {
    if (this.exitStatus === undefined) await Promise.race([this.#pump.flushed(), this.#shutDownAsked]);
    if (this.crashError !== undefined) this.#reject(this.crashError);
    else if (this.exitStatus !== undefined) this.#resolve(this.exitStatus);
    else if (outcome.kind === 'failed') this.#reject(outcome.error);
    else this.#resolve(0);
  }
}
