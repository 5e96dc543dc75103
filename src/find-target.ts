/**
 * From a target as people write it to an instance ID and the AWS context (region, credentials) it lives in.
 */
import type { AwsContext } from './aws/context.ts';
import { needsEc2, parseTarget } from './aws/target.ts';
import type { Instance, Located } from './aws/instance.ts';
import { ALL_REGIONS } from './aws/regions.ts';
import type { Clock } from './clock.ts';
import { targetContexts } from './contexts.ts';
import type { ContextRequest } from './contexts.ts';
import { ProxyError } from './errors.ts';
import type { Log } from './log.ts';
import { persist } from './opening/persist.ts';
import { sleep } from './opening/sleep.ts';
import type { SharedLookup } from './opening/shared-lookup.ts';
import type { StartQueue } from './opening/start-queue.ts';
import type { TimeBudget } from './opening/time-budget.ts';

/** Between two looks at an instance that is still starting. */
const PENDING_POLL_MS = 2_000;

export interface TargetRequest extends ContextRequest {
  /** An address, ID, DNS name or Name tag. */
  readonly target: string;
  /** VPC by ID or Name tag. */
  readonly vpc: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** The account that must be meant; undefined: whatever the credentials belong to. */
  readonly account: string | undefined;
}

export interface FindTargetDependencies {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly log: Log;
  /** From `targetContexts`, to use again; default: new ones. */
  readonly contexts?: readonly AwsContext[] | Promise<readonly AwsContext[]> | undefined;
}

/** How a target is looked up together with other processes. */
export interface FindTargetSharing {
  readonly queue: StartQueue;
  /** Undefined: EC2 is asked for every target. */
  readonly lookup: SharedLookup | undefined;
  /** True: a stopped instance is an answer, too. */
  readonly takesStopped?: boolean;
}

export interface FoundTarget {
  readonly context: AwsContext;
  readonly instanceId: string;
  /** It is stopped or stopping. */
  readonly isStopped: boolean;
}

/** Resolves the target; passing trouble and a pending instance are waited out, as long as the budget allows. */
export async function findTarget(
  request: TargetRequest,
  dependencies: FindTargetDependencies,
  enter: (stage: string) => void,
  budget: TimeBudget,
  { queue, lookup, takesStopped = false }: FindTargetSharing,
): Promise<FoundTarget> {
  const { clock, log } = dependencies;
  const { signal } = budget;
  const target = parseTarget(request.target);
  const listRegions = lookup?.listRegions;
  const contexts = await (dependencies.contexts ??
    targetContexts(request, { ...dependencies, signal, listRegions }));
  if (signal.aborted) throw new ProxyError('CANCELLED', 'cancelled');
  const [first] = contexts;
  if (first !== undefined && contexts.length === 1 && !needsEc2(target) && 'id' in target) {
    await checkAccounts(contexts, request.account, signal);
    return { context: first, instanceId: target.id, isStopped: false };
  }
  enter(`resolving ${request.target}`);
  const { locate: locateTarget } = await import('./locate.ts');
  const scope = { vpc: request.vpc, tags: request.tags };
  const options = {
    ...{ signal, isSingle: true, takesStopped },
    describe: lookup?.describe,
    skipsDenied: isEverywhere(request),
  };
  const locate = async (): Promise<Located> => {
    if (contexts.length > 1) {
      const known = await lookup?.recall(contexts, target, scope);
      if (known !== undefined) return known;
    }
    // With a turn further away there is time to let others ask.
    else if (first !== undefined && lookup !== undefined) await queue.join(first);
    const [located] = await Promise.all([
      locateTarget(contexts, target, scope, options, dependencies.env),
      checkAccounts(contexts, request.account, signal),
    ]);
    return located;
  };
  for (;;) {
    const { instance, context } = await persist(locate, {
      ...{ budget, clock, log },
      isFinal: (error) => error === queue.refusal,
    });
    log.info('resolved', { target: request.target, ...instanceFields(instance) });
    const isStopped = instance.state === 'stopped' || instance.state === 'stopping';
    if (instance.state !== 'pending') {
      if (contexts.length > 1 && !isStopped)
        await lookup?.remember(contexts, target, scope, { instance, context });
      return { context, instanceId: instance.instanceId, isStopped };
    }
    enter(`waiting for ${instance.instanceId} to run`);
    await sleep(clock, PENDING_POLL_MS, signal);
  }
}

/** True for the search in all regions, of which an organization may have closed some. */
export function isEverywhere({ regions }: Pick<ContextRequest, 'regions'>): boolean {
  return regions?.includes(ALL_REGIONS) ?? false;
}

/** ACCOUNT_MISMATCH if one of them belongs to another account than expected; every profile is looked at once. */
export async function checkAccounts(
  contexts: readonly AwsContext[],
  account: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (account === undefined) return;
  const { checkAccount } = await import('./aws/expected-account.ts');
  const byProfile = new Map(contexts.map((context) => [context.profile, context]));
  await Promise.all([...byProfile.values()].map((context) => checkAccount(context, account, { signal })));
}

function instanceFields(instance: Instance): Record<string, string | undefined> {
  return { instanceId: instance.instanceId, region: instance.region, state: instance.state };
}
