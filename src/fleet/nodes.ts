/**
 * All nodes of some regions and profiles: what EC2 says of them, what SSM says of their agents, and which clusters they
 * form. Places are asked side by side; one that cannot be asked is told, and the others are shown.
 */
import { agentStatuses } from '../aws/agents.ts';
import type { AwsContext } from '../aws/context.ts';
import type { Ec2Filter, Instance, InstanceRecord, InstanceState } from '../aws/ec2.ts';
import { describeInstances } from '../aws/ec2.ts';
import { isInScope, isVpcId, scopeFilters } from '../aws/instance-match.ts';
import type { Scope } from '../aws/instance-match.ts';
import { vpcIdsByName } from '../aws/vpcs.ts';
import type { AgentStatus } from '../aws/ssm-session.ts';
import { asProxyError } from '../errors.ts';
import type { ProxyError } from '../errors.ts';
import { isClusterName, membership, numberWorkers } from '../aws/cluster-tags.ts';
import type { NodeRole } from '../aws/cluster-tags.ts';

export interface FleetQuery extends Scope {
  /** Empty: all that are not terminated. */
  readonly states: readonly InstanceState[];
  /** Clusters, or Name tags; empty: all. */
  readonly names: readonly string[];
  /** Tag that names the cluster in place of the launchers' own; undefined: those. */
  readonly groupTag: string | undefined;
  readonly onlyOnline: boolean;
}

export interface FleetNode {
  readonly instance: Instance;
  readonly agent: AgentStatus;
  /** As the tag has it; undefined: of none. */
  readonly cluster: string | undefined;
  readonly role: NodeRole | undefined;
  /** Of a worker, from 1. */
  readonly number: number | undefined;
  readonly profile: string | undefined;
}

export interface FleetFailure {
  readonly region: string;
  readonly profile: string | undefined;
  readonly error: ProxyError;
}

export interface Fleet {
  /** By cluster (those of none last), heads first, then by number, name and ID. */
  readonly nodes: readonly FleetNode[];
  readonly failures: readonly FleetFailure[];
}

const SHOWN_STATES: readonly InstanceState[] = ['pending', 'running', 'stopping', 'stopped'];

/** Rejects only when the signal ends it. */
export async function listNodes(
  contexts: readonly AwsContext[],
  query: FleetQuery,
  signal: AbortSignal,
): Promise<Fleet> {
  const failures: FleetFailure[] = [];
  const found = await Promise.all(
    contexts.map(async (context) => {
      try {
        return await nodesOf(context, query, signal);
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        failures.push({ region: context.region, profile: context.profile, error: asProxyError(thrown) });
        return [];
      }
    }),
  );
  // Two profiles may see the same account.
  const byId = new Map<string, FleetNode>();
  for (const node of found.flat()) {
    if (!byId.has(node.instance.instanceId)) byId.set(node.instance.instanceId, node);
  }
  return { nodes: [...byId.values()].sort(byPlace), failures };
}

async function nodesOf(
  context: AwsContext,
  query: FleetQuery,
  signal: AbortSignal,
): Promise<readonly FleetNode[]> {
  const states = query.states.length === 0 ? SHOWN_STATES : query.states;
  const filters: Ec2Filter[] = [['instance-state-name', ...states], ...scopeFilters(query)];
  const { vpc } = query;
  const [records, vpcIds] = await Promise.all([
    describeInstances(context, filters, { signal }),
    vpc === undefined || isVpcId(vpc) ? undefined : vpcIdsByName(context, vpc, { signal }),
  ]);
  const inScope = records.filter((record) => isInScope(record, query, vpcIds));
  // Workers are counted among all of their cluster, also when only some are shown.
  const placed = place(inScope, query.groupTag).filter((node) => isNamed(node, query.names));
  const ids = placed
    .filter(({ instance }) => instance.state === 'running')
    .map(({ instance }) => instance.instanceId);
  const agents = await agentStatuses(context, ids, { signal });
  return placed
    .map(({ instance, cluster, role, number }): FleetNode => {
      const agent = agents.get(instance.instanceId) ?? { status: 'unregistered' };
      return { instance, cluster, role, number, agent, profile: context.profile };
    })
    .filter(({ agent }) => !query.onlyOnline || agent.status === 'online');
}

type PlacedNode = Omit<FleetNode, 'agent' | 'profile'>;

function place(records: readonly InstanceRecord[], groupTag: string | undefined): readonly PlacedNode[] {
  const numbers = numberWorkers(records, groupTag);
  return records.map(({ instance, tags }) => {
    const { cluster, role } = membership(tags, groupTag) ?? {};
    return { instance, cluster, role, number: numbers.get(instance.instanceId) };
  });
}

function isNamed({ cluster, instance }: PlacedNode, names: readonly string[]): boolean {
  if (names.length === 0) return true;
  return names.some(
    (name) =>
      (cluster !== undefined && isClusterName(cluster, name)) ||
      instance.name?.toLowerCase() === name.toLowerCase() ||
      instance.instanceId === name ||
      instance.privateIp === name,
  );
}

function byPlace(one: FleetNode, other: FleetNode): number {
  return (
    Number(one.cluster === undefined) - Number(other.cluster === undefined) ||
    compare(one.cluster ?? '', other.cluster ?? '') ||
    Number(other.role === 'head') - Number(one.role === 'head') ||
    (one.number ?? 0) - (other.number ?? 0) ||
    compare(one.instance.name ?? '', other.instance.name ?? '') ||
    compare(one.instance.instanceId, other.instance.instanceId)
  );
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
