/**
 * How a target is looked up and recognised. Pure.
 *
 * The filters let the server do the search. What comes back is checked again here: a server that ignores a filter
 * (an emulator, a proxy, a bug) must not send anybody's ssh to another machine.
 */
import { CLUSTER_TAGS, isClusterName, membership, nodeNames, numberWorkers } from './cluster-tags.ts';
import type { Ec2Filter, InstanceRecord } from './ec2.ts';
import { isPrivateIpv4 } from './ip-address.ts';
import type { Target } from './target.ts';

/** Narrows a search. */
export interface Scope {
  /** `vpc-...`, or the Name tag of a VPC. */
  readonly vpc?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Tags that must be there, with any value. */
  readonly tagKeys?: readonly string[] | undefined;
}

/** Filters to try one after the other, until one finds something. */
export function lookups(target: Target): readonly Ec2Filter[] {
  switch (target.kind) {
    case 'instanceId':
    case 'managedInstanceId':
      return [['instance-id', target.id]];
    case 'privateDns':
      return [['network-interface.addresses.private-ip-address', target.address]];
    case 'publicDns':
    case 'ip':
      return addressLookups(target);
    case 'name':
      return [
        ['tag:Name', ...nameSpellings(target.name)],
        ...clusterLookups(target.name),
        ...(target.name.includes('.') ? dnsLookups(target.name) : []),
      ];
  }
}

function addressLookups({ address, family }: { address: string; family: 4 | 6 }): Ec2Filter[] {
  if (family === 6) return [['network-interface.ipv6-addresses.ipv6-address', address]];
  // This filter looks at every address of every interface; `private-ip-address` only at the first of the first.
  const privateLookup: Ec2Filter = ['network-interface.addresses.private-ip-address', address];
  if (isPrivateIpv4(address)) return [privateLookup];
  // VPCs may also use public ranges inside. The last one finds further Elastic IPs of an instance.
  return [
    ['ip-address', address],
    privateLookup,
    ['network-interface.addresses.association.public-ip', address],
  ];
}

/** The clusters that a name may mean, by the tags that launchers set (cluster-tags.ts). */
function clusterLookups(name: string): Ec2Filter[] {
  const clusters = [...new Set(nodeNames(name).map(({ cluster }) => cluster))];
  const values = clusters.flatMap((cluster) =>
    nameSpellings(cluster).flatMap((spelling) => [spelling, { startsWith: `${spelling}-` }]),
  );
  return values.length === 0 ? [] : CLUSTER_TAGS.map((tag): Ec2Filter => [`tag:${tag}`, ...values]);
}

function dnsLookups(name: string): Ec2Filter[] {
  const dnsName = name.toLowerCase().replace(/\.$/, '');
  return [
    ['private-dns-name', dnsName],
    ['dns-name', dnsName],
  ];
}

/**
 * Spellings of a Name tag to ask for: ssh hands over host names in lower case (`%h`), tags keep their capitals, and
 * EC2's filters know the difference. So `gpu-node` also asks for `Gpu-node`, `Gpu-Node` and `GPU-NODE`.
 */
export function nameSpellings(name: string): [string, ...string[]] {
  if (name !== name.toLowerCase()) return [name];
  const first = name.charAt(0).toUpperCase() + name.slice(1);
  const words = name.replace(
    /(^|[^a-z0-9])([a-z])/g,
    (_match, before: string, letter: string) => before + letter.toUpperCase(),
  );
  return [...new Set([name, first, words, name.toUpperCase()])] as [string, ...string[]];
}

/** Server-side filters of a scope. A VPC's name needs a lookup of its own. */
export function scopeFilters(scope: Scope): Ec2Filter[] {
  const filters = Object.entries(scope.tags ?? {}).map(([key, value]): Ec2Filter => [`tag:${key}`, value]);
  if (scope.tagKeys !== undefined) filters.push(...scope.tagKeys.map((key): Ec2Filter => ['tag-key', key]));
  if (scope.vpc !== undefined && isVpcId(scope.vpc)) filters.push(['vpc-id', scope.vpc]);
  return filters;
}

export function isVpcId(text: string): boolean {
  return /^vpc-[0-9a-f]+$/.test(text);
}

/** Those records that the target really names. Of Name tags, an exact match goes before one in other letters. */
export function recognise(target: Target, records: readonly InstanceRecord[]): InstanceRecord[] {
  if (target.kind !== 'name') return records.filter((record) => isNamedBy(target, record));
  const exact = records.filter(
    ({ instance, dnsNames }) =>
      instance.name === target.name || dnsNames.includes(target.name.toLowerCase().replace(/\.$/, '')),
  );
  if (exact.length > 0) return exact;
  const spellings = nameSpellings(target.name);
  const spelt = records.filter(({ instance }) => spellings.includes(instance.name ?? ''));
  return spelt.length > 0 ? spelt : recogniseNode(target.name, records);
}

/** The node of a cluster that a name means, of the most specific meaning that there is; of each cluster of that name. */
function recogniseNode(name: string, records: readonly InstanceRecord[]): InstanceRecord[] {
  const numbers = numberWorkers(records);
  for (const { cluster, role, number } of nodeNames(name)) {
    const nodes = records.filter(({ instance, tags }) => {
      const member = membership(tags);
      return (
        member?.role === role &&
        isClusterName(member.cluster, cluster) &&
        (number === undefined || numbers.get(instance.instanceId) === number)
      );
    });
    if (nodes.length > 0) return nodes;
  }
  return [];
}

function isNamedBy(target: Exclude<Target, { kind: 'name' }>, record: InstanceRecord): boolean {
  switch (target.kind) {
    case 'instanceId':
    case 'managedInstanceId':
      return record.instance.instanceId === target.id;
    default:
      return record.addresses.includes(target.address);
  }
}

/** True if the record lies in the scope. `vpcIds`: those that the scope's VPC name stands for. */
export function isInScope(
  record: InstanceRecord,
  scope: Scope,
  vpcIds: ReadonlySet<string> | undefined,
): boolean {
  for (const [key, value] of Object.entries(scope.tags ?? {})) {
    if (record.tags.get(key) !== value) return false;
  }
  if (scope.tagKeys?.every((key) => record.tags.has(key)) === false) return false;
  if (scope.vpc === undefined) return true;
  const { vpcId } = record.instance;
  return vpcIds === undefined ? vpcId === scope.vpc : vpcId !== undefined && vpcIds.has(vpcId);
}
