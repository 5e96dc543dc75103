/** What SSM knows of the agents of many instances: asked for by ID, some at a time. */
import type { CallOptions } from './call.ts';
import type { AwsContext } from './context.ts';
import type { AgentStatus } from './ssm-session.ts';
import { describeAgents } from './ssm-session.ts';

/** IDs in one call: as many as an answer holds, so that there is one page. */
const IDS_PER_CALL = 50;
/** The API is throttled at a low rate for each account. */
const CALLS_AT_ONCE = 4;

/** By instance ID; without an entry SSM does not know the instance. Without the permission, `unknown` for each. */
export async function agentStatuses(
  context: AwsContext,
  instanceIds: readonly string[],
  options: CallOptions,
): Promise<ReadonlyMap<string, AgentStatus>> {
  const chunks: (readonly string[])[] = [];
  for (let at = 0; at < instanceIds.length; at += IDS_PER_CALL) {
    chunks.push(instanceIds.slice(at, at + IDS_PER_CALL));
  }
  const statuses = new Map<string, AgentStatus>();
  const work = async (): Promise<void> => {
    for (let ids = chunks.shift(); ids !== undefined; ids = chunks.shift()) {
      for (const [id, status] of await describeAgents(context, ids, options)) statuses.set(id, status);
    }
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, work));
  return statuses;
}
