/** From a target to a started session, in turn with other processes of the user on this machine. */
import type { AwsContext } from '../aws/context.ts';
import { asProxyError } from '../errors.ts';
import { findTarget } from '../find-target.ts';
import type { FindTargetDependencies, TargetRequest } from '../find-target.ts';
import { LookupFiles } from '../gate/lookup-files.ts';
import { openRuntimeDirectory } from '../gate/runtime-directory.ts';
import type { SessionGrant } from '../session/session.ts';
import { SharedLookup } from './shared-lookup.ts';
import type { InstanceStart } from './start-instance.ts';
import { StartQueue } from './start-queue.ts';
import { startWithin } from './start-session.ts';
import type { StartRequest } from './start-session.ts';
import type { TimeBudget } from './time-budget.ts';

export interface Sharing {
  /** StartSession calls per second of all processes; 0: no limit. */
  readonly startsPerSecond: number;
  /**
   * Longest wait for a turn, and for a machine that is too busy to run this process, besides the connect timeout;
   * undefined: that counts. Milliseconds.
   */
  readonly queueTimeoutMs: number | undefined;
  /** Instances found by address serve others for three minutes. */
  readonly sharesLookups: boolean;
}

export interface GetInRequest extends TargetRequest, Omit<StartRequest, 'instanceId'> {
  /** Undefined: nothing is shared. */
  readonly sharing?: Sharing | undefined;
  /** Undefined: an instance that is stopped is an error. */
  readonly startInstance?: InstanceStart | undefined;
}

export interface GetInParts extends FindTargetDependencies {
  readonly budget: TimeBudget;
  /** A few words for a status line. */
  readonly enter: (stage: string) => void;
  /** The target is this instance. */
  readonly onFound: (context: AwsContext, instanceId: string) => void;
  /** There is a session, although getIn may still reject. */
  readonly onStarted: (started: Started) => void;
  /** It was ended again, at the service too. */
  readonly onTerminated: () => void;
}

export interface Started {
  readonly context: AwsContext;
  readonly targetId: string;
  readonly grant: SessionGrant;
}

/**
 * Once more from the start when the answer of an earlier lookup led nowhere. The errors of lookups and of
 * StartSession, THROTTLED when a turn is too far away, CANCELLED.
 */
export async function getIn(request: GetInRequest, parts: GetInParts): Promise<Started> {
  const { clock, log, env, budget, enter, onStarted, onTerminated } = parts;
  const { startsPerSecond = 0, queueTimeoutMs, sharesLookups = false } = request.sharing ?? {};
  const directory = request.sharing === undefined ? undefined : openRuntimeDirectory(env);
  const queue = new StartQueue({ directory, startsPerSecond, queueTimeoutMs, budget, clock, log, enter });
  const lookup =
    directory !== undefined && sharesLookups
      ? new SharedLookup({ files: new LookupFiles(directory), clock, log, queue })
      : undefined;
  let isStarted = false;
  const start = async (context: AwsContext, instanceId: string): Promise<void> => {
    isStarted = true;
    const { startStopped } = await import('./start-instance.ts');
    await startStopped(context, instanceId, request.startInstance ?? { limitMs: undefined }, parts);
  };
  try {
    for (;;) {
      const mayStart = request.startInstance !== undefined && !isStarted;
      const { context, instanceId, isStopped } = await findTarget(request, parts, enter, budget, {
        queue,
        lookup,
        takesStopped: mayStart,
      });
      if (isStopped) await start(context, instanceId);
      parts.onFound(context, instanceId);
      const isDoubtful = lookup?.isDoubtful ?? false;
      try {
        const grant = await startWithin(
          { ...request, instanceId },
          {
            ...{ context, budget, queue, clock, log, enter, isDoubtful },
            onGrant: (grant) => onStarted({ context, targetId: instanceId, grant }),
            onTerminated,
          },
        );
        return { context, targetId: instanceId, grant };
      } catch (thrown) {
        // Only IDs come as far as this without a word on their state.
        if (mayStart && !isStarted && asProxyError(thrown).code === 'TARGET_STOPPED') {
          await start(context, instanceId);
          continue;
        }
        if (!isDoubtful || asProxyError(thrown).code !== 'TARGET_NOT_CONNECTED') throw thrown;
        log.info('resolve_again', { instanceId });
        lookup?.forget();
      }
    }
  } finally {
    queue.leave();
  }
}
