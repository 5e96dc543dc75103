/** From a target to everything that EC2 and SSM say about its instance. For commands that report. */
import type { AwsContext } from './aws/context.ts';
import { describeInstance } from './aws/instance.ts';
import type { Instance } from './aws/instance.ts';
import { agentStatus } from './aws/ssm-session.ts';
import type { AgentStatus } from './aws/ssm-session.ts';
import { parseTarget } from './aws/target.ts';
import { ProxyError } from './errors.ts';
import { targetContexts } from './contexts.ts';
import { checkAccounts, isEverywhere } from './find-target.ts';
import type { TargetRequest } from './find-target.ts';
import { locate } from './locate.ts';
import type { Log } from './log.ts';

export type ResolveRequest = TargetRequest;

export interface FoundInstance {
  readonly instance: Instance;
  readonly agent: AgentStatus;
}

export async function findInstance(
  request: ResolveRequest,
  { env, log }: { readonly env: NodeJS.ProcessEnv; readonly log: Log },
  signal: AbortSignal,
): Promise<FoundInstance> {
  const target = parseTarget(request.target);
  const contexts = await targetContexts(request, { env, log, signal });
  try {
    const scope = { vpc: request.vpc, tags: request.tags };
    const [{ instance: resolved, context }] = await Promise.all([
      locate(contexts, target, scope, { signal, skipsDenied: isEverywhere(request) }, env),
      checkAccounts(contexts, request.account, signal),
    ]);
    const [instance, agent] = await Promise.all([
      describe(context, resolved, signal),
      agentStatus(context, resolved.instanceId, { signal }),
    ]);
    return { instance, agent };
  } finally {
    for (const context of contexts) context.close();
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
