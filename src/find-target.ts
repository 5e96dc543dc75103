/**
 * From a target as people write it to an instance ID and the AWS context (region, credentials) it lives in.
 */
import { createAwsContext } from './aws/context.ts';
import type { AwsContext } from './aws/context.ts';
import { needsEc2, parseTarget, regionOf } from './aws/target.ts';
import type { Instance } from './aws/instance.ts';
import type { Clock } from './clock.ts';
import { ProxyError } from './errors.ts';
import type { Log } from './log.ts';
import { persist } from './opening/persist.ts';
import { sleep } from './opening/sleep.ts';
import type { SharedLookup } from './opening/shared-lookup.ts';
import type { StartQueue } from './opening/start-queue.ts';
import type { TimeBudget } from './opening/time-budget.ts';

/** Between two looks at an instance that is still starting. */
const PENDING_POLL_MS = 2_000;

export interface TargetRequest {
  /** An address, ID, DNS name or Name tag. */
  readonly target: string;
  /** Regions to search; undefined: the one that the AWS configuration names. */
  readonly regions: readonly string[] | undefined;
  readonly profile: string | undefined;
  readonly endpointUrl: string | undefined;
  readonly ssmmessagesEndpoint: string | undefined;
  /** VPC by ID or Name tag. */
  readonly vpc: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

export interface FindTargetDependencies {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly log: Log;
  /** Contexts to use again, from `createContexts`; default: new ones. */
  readonly contexts?: readonly AwsContext[] | undefined;
}

/** How a target is looked up together with other processes. */
export interface FindTargetSharing {
  readonly queue: StartQueue;
  /** Undefined: EC2 is asked for every target. */
  readonly lookup: SharedLookup | undefined;
}

export interface FoundTarget {
  readonly context: AwsContext;
  readonly instanceId: string;
}

/** Resolves the target; passing trouble and a pending instance are waited out, as long as the budget allows. */
export async function findTarget(
  request: TargetRequest,
  dependencies: FindTargetDependencies,
  enter: (stage: string) => void,
  budget: TimeBudget,
  { queue, lookup }: FindTargetSharing,
): Promise<FoundTarget> {
  const { clock, log } = dependencies;
  const { signal } = budget;
  const target = parseTarget(request.target);
  const contexts = dependencies.contexts ?? (await createContexts(request, dependencies));
  if (signal.aborted) throw new ProxyError('CANCELLED', 'cancelled');
  const [first] = contexts;
  if (first !== undefined && contexts.length === 1 && !needsEc2(target) && 'id' in target) {
    return { context: first, instanceId: target.id };
  }
  enter(`resolving ${request.target}`);
  const { resolveAcross } = await import('./aws/instance.ts');
  const scope = { vpc: request.vpc, tags: request.tags };
  const resolve = async (): Promise<Instance> => {
    // With a turn further away there is time to let others ask.
    if (first !== undefined && contexts.length === 1 && lookup !== undefined) await queue.join(first);
    return resolveAcross(contexts, target, scope, { signal, isSingle: true, describe: lookup?.describe });
  };
  for (;;) {
    const instance = await persist(resolve, {
      ...{ budget, clock, log },
      isFinal: (error) => error === queue.refusal,
    });
    log.info('resolved', { target: request.target, ...instanceFields(instance) });
    const context = contexts.find(({ region }) => region === instance.region) ?? first;
    if (context === undefined) throw new ProxyError('REGION_MISSING', 'no region to search in');
    if (instance.state !== 'pending') return { context, instanceId: instance.instanceId };
    enter(`waiting for ${instance.instanceId} to run`);
    await sleep(clock, PENDING_POLL_MS, signal);
  }
}

/** One context for each region to search, with one identity. REGION_MISSING, PROFILE_NOT_FOUND, CONFIG_INVALID, USAGE. */
export async function createContexts(
  request: TargetRequest,
  { env, log }: FindTargetDependencies,
): Promise<AwsContext[]> {
  const [region, ...others] = request.regions ?? [];
  const context = await createAwsContext({
    region,
    targetRegion: regionOf(parseTarget(request.target)),
    profile: request.profile,
    endpointUrl: request.endpointUrl,
    ssmmessagesEndpoint: request.ssmmessagesEndpoint,
    env,
    log: log.child('aws'),
  });
  return [context, ...others.map((other) => context.withRegion(other))];
}

function instanceFields(instance: Instance): Record<string, string | undefined> {
  return { instanceId: instance.instanceId, region: instance.region, state: instance.state };
}
