/**
 * A session that belongs to a command in the foreground, from its opening to its end: status line, log, record of the
 * session, flight record, signals, crashes. What the session carries, and the exit status of a normal end, are the
 * view's. (`connect` does the same by itself, as its ends are ssh's.)
 */
import { systemClock } from '../clock.ts';
import { asProxyError } from '../errors.ts';
import type { ProxyError } from '../errors.ts';
import { openSession } from '../open-session.ts';
import type { SessionRequest } from '../open-session.ts';
import { FlightRecorder } from '../session/flight-recorder.ts';
import type { Session, SessionEvents, SessionOutcome } from '../session/session.ts';
import { FlightFile } from './flight-file.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import type { SessionArgs } from './session-args.ts';
import { processFacts } from './session-facts.ts';
import { SessionTrace } from './session-trace.ts';
import { ShutdownWatch } from './shutdown-watch.ts';
import { StatusLine } from './status-line.ts';
import { within } from './within.ts';

/** Longest wait for the session's record to be removed, or left, on a slow disk. Milliseconds. */
const TRACE_LIMIT_MS = 300;
/** After a failed session, how long TerminateSession may still take to answer. Milliseconds. */
const TERMINATE_ANSWER_MS = 250;

/** What the session carries. Called in the session's order; nothing comes after `finish`. */
export interface LiveView extends Pick<
  SessionEvents,
  'onData' | 'onWritable' | 'onNotice' | 'onExitCode' | 'onFlag' | 'onLink'
> {
  onReady(session: Session): void;
  onDrained?(): void;
  /** A signal came, which would end the session with this exit status. True: it was for the far side. */
  onSignal?(exitStatus: number): boolean;
  /** The session is over by itself: the exit status, once all output has left. Rejects with a ProxyError. */
  finish(outcome: SessionOutcome): Promise<number>;
  /** Gives the terminal back. Called at every end, also a crash; may be called again. */
  release(): void;
}

export interface LiveRequest {
  readonly args: SessionArgs;
  readonly request: SessionRequest;
  /** The target in the list of sessions. */
  readonly destination: string;
  readonly io: CliIo;
}

/** Ends the session because of something on this side: the command ends with `exitStatus`. */
export type EndLive = (exitStatus: number) => void;

/** Resolves with the exit status; rejects with the ProxyError to be reported. */
export async function runLiveSession(
  { args, request, destination, io }: LiveRequest,
  createView: (end: EndLive) => LiveView,
): Promise<number> {
  const log = openLog(args, io);
  const wallClock = (): number => systemClock.wallNow();
  const recorder = new FlightRecorder(processFacts(wallClock()));
  const flightFile = new FlightFile(recorder, io.env, log, wallClock);
  const trace = new SessionTrace(io.env, log, wallClock);
  const status = new StatusLine(io, args.quiet);
  const abort = new AbortController();
  const live: Live = { isOver: false, onTerminated: () => {} };
  const end: EndLive = (exitStatus) => {
    if (live.exitStatus !== undefined) return;
    live.exitStatus = exitStatus;
    io.onEnding?.(exitStatus);
    view.release();
    recorder.event(systemClock.now(), 'shut_down', { exitStatus });
    abort.abort();
    void live.session?.terminate();
  };
  const view = createView(end);
  const watch = new ShutdownWatch({
    onShutdown: (exitStatus) => {
      if (view.onSignal?.(exitStatus) !== true) end(exitStatus);
    },
    isOrphanIdle: () => false,
  });
  let settle: (outcome: SessionOutcome) => void = () => {};
  const ended = new Promise<SessionOutcome>((resolve) => {
    settle = resolve;
  });
  let hasReadySession = false;
  const ready = (): void => {
    if (hasReadySession && live.session !== undefined && live.exitStatus === undefined) {
      view.onReady(live.session);
    }
  };
  watch.start();
  flightFile.start();
  io.crashGuard?.takeOver((error) => {
    live.crashError = error;
    view.release();
    recorder.event(systemClock.now(), 'crash', {
      error: error.cause instanceof Error ? error.cause.name : undefined,
    });
    abort.abort();
    void live.session?.terminate({ kind: 'failed', error });
  });
  try {
    live.session = await openSession(
      request,
      { env: io.env, clock: systemClock, log, recorder },
      {
        onStage(stage) {
          recorder.event(systemClock.now(), 'stage', { stage });
          status.show(stage);
        },
        onStarted(started) {
          recorder.describe({ sessionId: started.sessionId, instanceId: started.instanceId });
          trace.begin(started, destination);
        },
        onTerminated() {
          live.isOver = true;
          live.onTerminated();
        },
        onReady() {
          status.clear();
          hasReadySession = true;
          ready();
        },
        onData(data, stream) {
          trace.firstByte();
          view.onData(data, stream);
        },
        onWritable: () => view.onWritable(),
        onDrained: () => view.onDrained?.(),
        onNotice: (text) => view.onNotice(text),
        onExitCode: (exitCode) => view.onExitCode?.(exitCode),
        onFlag: (flag) => view.onFlag?.(flag),
        onLink: (state) => view.onLink?.(state),
        onEnd: settle,
      },
      abort.signal,
    );
    // The session may have been opened by a transport that was faster than this line.
    ready();
    if (live.exitStatus !== undefined) void live.session.terminate();
    const outcome = await ended;
    if (live.crashError !== undefined) throw live.crashError;
    if (live.exitStatus !== undefined) return live.exitStatus;
    return await view.finish(outcome);
  } catch (thrown) {
    if (live.crashError === undefined && live.exitStatus !== undefined) return live.exitStatus;
    view.release();
    status.clear();
    // Side by side with the other file.
    void endTrace(trace, live);
    throw await flightFile.explain(live.crashError ?? asProxyError(thrown), trace.hasBegun);
  } finally {
    view.release();
    status.clear();
    watch.stop();
    await within(TRACE_LIMIT_MS, endTrace(trace, live));
    log.close();
  }
}

interface Live {
  session?: Session;
  /** Set when something on this side ends it. */
  exitStatus?: number;
  crashError?: ProxyError;
  /** The service is known to have ended the session. */
  isOver: boolean;
  onTerminated: () => void;
  traceEnded?: Promise<void>;
}

/** The session's record goes when the service has ended the session, and else stays as its trace. */
function endTrace(trace: SessionTrace, live: Live): Promise<void> {
  live.traceEnded ??= (async () => {
    if (!live.isOver && live.session !== undefined) {
      await within(TERMINATE_ANSWER_MS, new Promise<void>((resolve) => (live.onTerminated = resolve)));
    }
    await trace.end(live.isOver);
  })();
  return live.traceEnded;
}
