/** From a target to everything that EC2 and SSM say about its instance. For commands that report. */
import { createAwsContext } from '../aws/context.ts';
import type { AwsContext } from '../aws/context.ts';
import { describeInstance, resolveAcross } from '../aws/instance.ts';
import type { Instance } from '../aws/instance.ts';
import { agentStatus } from '../aws/ssm-session.ts';
import type { AgentStatus } from '../aws/ssm-session.ts';
import { parseTarget, regionOf } from '../aws/target.ts';
import { ProxyError } from '../errors.ts';
import type { TargetRequest } from '../find-target.ts';
import type { Log } from '../log.ts';
import type { Environment } from './option-values.ts';

export type ResolveRequest = TargetRequest;

export interface FoundInstance {
  readonly instance: Instance;
  readonly agent: AgentStatus;
}

export async function findInstance(
  request: ResolveRequest,
  { env, log }: { readonly env: Environment; readonly log: Log },
  signal: AbortSignal,
): Promise<FoundInstance> {
  const target = parseTarget(request.target);
  const [region, ...further] = request.regions ?? [];
  const { profile, endpointUrl } = request;
  const settings = { region, targetRegion: regionOf(target), profile, endpointUrl, env, log };
  const first = await createAwsContext(settings);
  try {
    const contexts = [first, ...further.map((other) => first.withRegion(other))];
    const scope = { vpc: request.vpc, tags: request.tags };
    const resolved = await resolveAcross(contexts, target, scope, { signal });
    const context = contexts.find((candidate) => candidate.region === resolved.region) ?? first;
    const [instance, agent] = await Promise.all([
      describe(context, resolved, signal),
      agentStatus(context, resolved.instanceId, { signal }),
    ]);
    return { instance, agent };
  } finally {
    first.close();
  }
}

/** What resolving left open: all but the ID where an ID was given, and the name of the VPC. */
async function describe(context: AwsContext, resolved: Instance, signal: AbortSignal): Promise<Instance> {
  // Managed instances are not EC2's.
  if (resolved.instanceId.startsWith('mi-')) return resolved;
  try {
    return await describeInstance(context, resolved.instanceId, { signal });
  } catch (error) {
    if (error instanceof ProxyError && error.code === 'ACCESS_DENIED') return resolved;
    throw error;
  }
}
