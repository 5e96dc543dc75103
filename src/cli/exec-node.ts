/** The command of `exec` on one node: its session with log, record and flight record, as every session has them. */
import { systemClock } from '../clock.ts';
import { asProxyError } from '../errors.ts';
import { runCommand } from '../exec/run-command.ts';
import type { CommandRequest } from '../exec/run-command.ts';
import type { Log } from '../log.ts';
import { FlightRecorder } from '../session/flight-recorder.ts';
import type { NodeEnd, NodeOutput } from './exec-output.ts';
import { FlightFile } from './flight-file.ts';
import type { CliIo } from './io.ts';
import { processFacts } from './session-facts.ts';
import { SessionTrace } from './session-trace.ts';
import { within } from './within.ts';

/** Longest wait for the session's record to be removed, or left, on a slow disk. Milliseconds. */
const TRACE_LIMIT_MS = 300;
/** After a failed session, how long TerminateSession may still take to answer. Milliseconds. */
const TERMINATE_ANSWER_MS = 250;

export interface NodeRunParts {
  readonly io: CliIo;
  readonly log: Log;
  /** The target in the list of sessions. */
  readonly destination: string;
  readonly output: NodeOutput;
  readonly onStage: (stage: string) => void;
  /** The first output is there. */
  readonly onOutput: () => void;
  readonly onNotice: (text: string) => void;
}

/** Never rejects: a failure is how it ended. */
export async function runOnNode(
  request: CommandRequest,
  parts: NodeRunParts,
  signal: AbortSignal,
): Promise<NodeEnd> {
  const { io, log, output } = parts;
  const wallClock = (): number => systemClock.wallNow();
  const recorder = new FlightRecorder(processFacts(wallClock()));
  const flightFile = new FlightFile(recorder, io.env, log, wallClock);
  const trace = new SessionTrace(io.env, log, wallClock);
  let isOver = false;
  let onTerminated = (): void => {};
  const terminated = new Promise<void>((resolve) => (onTerminated = resolve));
  let end: NodeEnd;
  try {
    const { exitStatus } = await runCommand(
      request,
      { env: io.env, clock: systemClock, log, recorder },
      {
        onStage(stage) {
          recorder.event(systemClock.now(), 'stage', { stage });
          parts.onStage(stage);
        },
        onStarted(started) {
          recorder.describe({ sessionId: started.sessionId, instanceId: started.instanceId });
          output.started?.(started.instanceId);
          trace.begin(started, parts.destination);
        },
        onTerminated() {
          isOver = true;
          onTerminated();
        },
        onNotice: parts.onNotice,
        onOutput(data, stream, done) {
          trace.firstByte();
          parts.onOutput();
          output.write(data, stream, done);
        },
      },
      signal,
    );
    end = { kind: 'exited', exitStatus };
  } catch (thrown) {
    const error = await flightFile.explain(asProxyError(thrown), trace.hasBegun);
    end = { kind: 'failed', error };
  }
  output.end(end);
  // A failed session ends before TerminateSession has answered when the channel was closed meanwhile.
  if (trace.hasBegun && !isOver) await within(TERMINATE_ANSWER_MS, terminated);
  await within(TRACE_LIMIT_MS, trace.end(isOver));
  return end;
}
