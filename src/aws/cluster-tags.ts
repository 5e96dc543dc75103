/**
 * Which cluster an instance belongs to, and as what, by the tags that launchers set. Pure.
 *
 * SkyPilot (sky/provision/constants.py) and Ray tag head and workers; the cluster's name on the cloud is the typed one,
 * a hyphen and a hash of the user. Workers have no number in their tags: SkyPilot counts them from 1 by instance ID.
 */

export type NodeRole = 'head' | 'worker';

export interface ClusterMembership {
  /** As the tag has it. */
  readonly cluster: string;
  readonly role: NodeRole | undefined;
}

type Tags = ReadonlyMap<string, string>;

/** Tags that hold the name of a cluster, the best first. */
export const CLUSTER_TAGS: readonly string[] = ['skypilot-cluster-name', 'ray-cluster-name'];

/** Lower-case hexadecimal, up to 8 digits: what SkyPilot adds to the typed name. */
const USER_HASH = /-[0-9a-f]{2,8}$/;

/** Undefined: of no cluster. `groupTag`: another tag that names it. */
export function membership(tags: Tags, groupTag?: string): ClusterMembership | undefined {
  const keys = groupTag === undefined ? CLUSTER_TAGS : [groupTag];
  const cluster = keys.map((key) => tags.get(key)).find((value) => value !== undefined && value !== '');
  return cluster === undefined ? undefined : { cluster, role: roleOf(tags) };
}

function roleOf(tags: Tags): NodeRole | undefined {
  const isHead = tags.get('skypilot-head-node');
  if (isHead !== undefined) return isHead === '1' ? 'head' : 'worker';
  const type = tags.get('ray-node-type');
  return type === 'head' || type === 'worker' ? type : undefined;
}

/** The name that was typed at launch, as far as it can be told. */
export function typedClusterName(cluster: string): string {
  return cluster.replace(USER_HASH, '');
}

/** True if people may mean this cluster by that name. Case does not count: ssh hands over lower case. */
export function isClusterName(cluster: string, name: string): boolean {
  const [known, wanted] = [cluster.toLowerCase(), name.toLowerCase()];
  return known === wanted || typedClusterName(known) === wanted;
}

/** A node of a cluster, as it was named. */
export interface NodeName {
  readonly cluster: string;
  readonly role: NodeRole;
  /** From 1; workers only. */
  readonly number: number | undefined;
}

/**
 * What a name may mean, the most specific first: `head.c`, `worker2.c`, `w2.c`, `c-head`, `c-worker2`, and `c` for its
 * head.
 */
export function nodeNames(name: string): readonly NodeName[] {
  const names: NodeName[] = [];
  const [, before, numberBefore, clusterAfter] = /^(head|w(?:orker)?-?(\d{1,5}))\.(.+)$/i.exec(name) ?? [];
  if (before !== undefined && clusterAfter !== undefined) names.push(nodeName(clusterAfter, numberBefore));
  const [, clusterBefore, numberAfter] = /^(.+)-(?:head|worker-?(\d{1,5}))$/i.exec(name) ?? [];
  if (clusterBefore !== undefined) names.push(nodeName(clusterBefore, numberAfter));
  if (!name.includes('.')) names.push(nodeName(name, undefined));
  return names;
}

function nodeName(cluster: string, number: string | undefined): NodeName {
  return number === undefined
    ? { cluster, role: 'head', number: undefined }
    : { cluster, role: 'worker', number: Number(number) };
}

interface Numbered {
  readonly instance: { readonly instanceId: string; readonly state: string };
  readonly tags: Tags;
}

/** Numbers of running workers by instance ID: from 1 in each cluster, in the order of the IDs, as SkyPilot counts. */
export function numberWorkers(records: readonly Numbered[], groupTag?: string): ReadonlyMap<string, number> {
  const byCluster = new Map<string, string[]>();
  for (const { instance, tags } of records) {
    const { cluster, role } = membership(tags, groupTag) ?? {};
    if (cluster === undefined || role !== 'worker' || instance.state !== 'running') continue;
    byCluster.set(cluster, [...(byCluster.get(cluster) ?? []), instance.instanceId]);
  }
  const numbers = new Map<string, number>();
  for (const ids of byCluster.values()) {
    ids.sort().forEach((id, index) => numbers.set(id, index + 1));
  }
  return numbers;
}
