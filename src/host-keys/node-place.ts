/**
 * Which instance a host name means to ssh, found as `connect` finds it, and as cheaply as may be: ssh asks for host keys
 * just after its ProxyCommand has looked for the same target.
 */
import type { AwsContext } from '../aws/context.ts';
import { needsEc2, parseTarget } from '../aws/target.ts';
import { checkAccounts, findTarget } from '../find-target.ts';
import type { FindTargetDependencies, TargetRequest } from '../find-target.ts';
import { LookupFiles } from '../gate/lookup-files.ts';
import { knownInstance } from '../opening/known-instance.ts';
import { SharedLookup } from '../opening/shared-lookup.ts';
import { StartQueue } from '../opening/start-queue.ts';
import type { TimeBudget } from '../opening/time-budget.ts';

export interface NodePlace {
  readonly context: AwsContext;
  readonly instanceId: string;
  /** The answer of some minutes ago: the address may be another machine's by now. */
  readonly isDoubtful: boolean;
}

export interface PlaceParts extends FindTargetDependencies {
  readonly contexts: readonly AwsContext[];
  /** Of gate/runtime-directory.ts. */
  readonly directory: string | undefined;
  readonly budget: TimeBudget;
  /** EC2 is going to be asked: its code may be loaded. */
  readonly onAsking?: (() => void) | undefined;
}

/** `isTrusting` false: EC2 is asked, whatever others have found. The errors of findTarget. */
export async function placeOf(
  request: TargetRequest,
  isTrusting: boolean,
  parts: PlaceParts,
): Promise<NodePlace> {
  const { contexts, directory, clock, log, budget, onAsking } = parts;
  const target = parseTarget(request.target);
  const scope = { vpc: request.vpc, tags: request.tags };
  const [first] = contexts;
  const only = contexts.length === 1 ? first : undefined;
  const files = directory === undefined ? undefined : new LookupFiles(directory);
  // Nobody waits for a turn here: EC2 is asked at once.
  const atOnce = { patienceMs: 0, pause: () => Promise.resolve() };
  const lookup = files && new SharedLookup({ files, clock, log, queue: atOnce });
  if (!isTrusting) lookup?.forget();
  if (only !== undefined && needsEc2(target) && isTrusting && files !== undefined) {
    const question = { context: only, target: request.target, scope, files, wallNowMs: clock.wallNow() };
    const known = await knownInstance(question);
    const found = known === undefined ? await lookup?.recall(contexts, target, scope) : undefined;
    const instanceId = known ?? found?.instance.instanceId;
    if (instanceId !== undefined) {
      await checkAccounts(contexts, request.account, budget.signal);
      return { context: only, instanceId, isDoubtful: true };
    }
  }
  if (needsEc2(target) || only === undefined) onAsking?.();
  const enter = (stage: string): void => log.debug('host_keys', { stage });
  const noQueue = { directory: undefined, startsPerSecond: 0, queueTimeoutMs: undefined };
  const queue = new StartQueue({ ...noQueue, budget, clock, log, enter });
  const { context, instanceId } = await findTarget(request, parts, enter, budget, { queue, lookup });
  if (only !== undefined && target.kind === 'name') {
    // Addresses are kept by the lookup itself.
    const instance = { instanceId, region: context.region, state: 'running' } as const;
    await lookup?.remember(contexts, target, scope, { instance, context });
  }
  return { context, instanceId, isDoubtful: lookup?.isDoubtful ?? false };
}
