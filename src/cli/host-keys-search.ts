/** `host-keys` where nothing that is kept will do: EC2 is asked, and a session may be opened, which is always ended. */
import { systemClock } from '../clock.ts';
import { findHostKeys } from '../host-keys/find-keys.ts';
import type { HostKeysAnswer, HostKeysRequest } from '../host-keys/kept-keys.ts';
import type { CliIo } from './io.ts';
import type { OpenLog } from './log-file.ts';
import { SessionTrace } from './session-trace.ts';
import { ShutdownWatch } from './shutdown-watch.ts';
import { within } from './within.ts';

/** Longest wait for the session's record to be removed, or left, on a slow disk. Milliseconds. */
const TRACE_LIMIT_MS = 300;
/** How long TerminateSession may still take to answer. Milliseconds. */
const TERMINATE_ANSWER_MS = 250;

/** The exit status in place of an answer when a signal ended it. `onAsking`: the code of EC2 is going to be needed. */
export async function searchHostKeys(
  request: HostKeysRequest,
  io: CliIo,
  log: OpenLog,
  onAsking: () => void,
): Promise<HostKeysAnswer | number> {
  const abort = new AbortController();
  let ownStatus: number | undefined;
  const watch = new ShutdownWatch({
    onShutdown(exitStatus) {
      ownStatus ??= exitStatus;
      io.onEnding?.(exitStatus);
      abort.abort();
    },
    // An ssh that was killed leaves keys that the next one wants.
    isOrphanIdle: () => false,
  });
  const trace = new SessionTrace(io.env, log, () => systemClock.wallNow());
  let isOver = false;
  let onTerminated = (): void => {};
  const terminated = new Promise<void>((resolve) => (onTerminated = resolve));
  watch.start();
  try {
    return await findHostKeys(
      request,
      {
        ...{ env: io.env, clock: systemClock, log, onAsking },
        onStarted: (started) => trace.begin(started, `${request.target} host-keys`),
        onTerminated() {
          isOver = true;
          onTerminated();
        },
      },
      abort.signal,
    );
  } catch (error) {
    if (ownStatus !== undefined) return ownStatus;
    throw error;
  } finally {
    if (trace.hasBegun && !isOver) await within(TERMINATE_ANSWER_MS, terminated);
    await within(TRACE_LIMIT_MS, trace.end(isOver));
    watch.stop();
  }
}
