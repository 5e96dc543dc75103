/**
 * `--start-instance`: a stopped instance is started, and waited for until it runs; its agent is then waited for as
 * that of any other (start-session.ts). One that is stopping is waited for first. It is started once: an instance that
 * stops again while it is coming up has a reason to.
 */
import type { AwsContext } from '../aws/context.ts';
import type { Clock } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { persist } from './persist.ts';
import { sleep } from './sleep.ts';
import type { TimeBudget } from './time-budget.ts';

export interface InstanceStart {
  /**
   * For everything from here on, in place of the time limit that there was, since a boot takes longer than a
   * connection; undefined: the limit stays. Milliseconds.
   */
  readonly limitMs: number | undefined;
}

export interface InstanceStartParts {
  readonly budget: TimeBudget;
  readonly clock: Clock;
  readonly log: Log;
  /** A few words for a status line. */
  readonly enter: (stage: string) => void;
}

const LIMIT_NAME = '--start-instance';
/** Between two looks. Milliseconds. */
const LOOK_EVERY_MS = 2_000;

/** TARGET_TERMINATED, TARGET_STOPPED when it stops again, and the errors of StartInstances and DescribeInstances. */
export async function startStopped(
  context: AwsContext,
  instanceId: string,
  { limitMs }: InstanceStart,
  parts: InstanceStartParts,
): Promise<void> {
  const { budget, clock, log, enter } = parts;
  if (limitMs !== undefined) budget.prolong(limitMs, LIMIT_NAME);
  const options = { signal: budget.signal, isSingle: true };
  const [{ describeInstance }, { startInstance }] = await Promise.all([
    import('../aws/instance.ts'),
    import('../aws/instance-start.ts'),
  ]);
  let isStarted = false;
  for (;;) {
    if (!isStarted) {
      enter(`starting ${instanceId}`);
      isStarted = await persist(() => startInstance(context, instanceId, options), parts);
      if (isStarted) log.info('instance_started', { instanceId, region: context.region });
    }
    const { state } = await persist(() => describeInstance(context, instanceId, options), parts);
    switch (state) {
      case 'running':
        return;
      case 'pending':
        enter(`waiting for ${instanceId} to run`);
        break;
      case 'shutting-down':
      case 'terminated':
        throw new ProxyError('TARGET_TERMINATED', `instance ${instanceId} in ${context.region} is ${state}`, {
          hint: 'the instance is gone for good: check the name or address',
        });
      case 'stopping':
      case 'stopped':
      case 'unknown':
        if (isStarted) throw stoppedAgain(instanceId, context.region);
        enter(`waiting for ${instanceId} to stop, to start it again`);
    }
    await sleep(clock, LOOK_EVERY_MS, budget.signal);
  }
}

function stoppedAgain(instanceId: string, region: string): ProxyError {
  return new ProxyError(
    'TARGET_STOPPED',
    `instance ${instanceId} in ${region} was started and has stopped again`,
    {
      hint: `see why: aws ec2 describe-instances --region ${region} --instance-ids ${instanceId} (StateTransitionReason)`,
    },
  );
}
