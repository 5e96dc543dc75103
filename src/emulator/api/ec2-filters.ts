/** DescribeInstances and DescribeVpcs filters: which values of an instance each filter name looks at. */
import { interfacesOf, primaryIp, privateDnsName, publicDnsName } from '../instance.ts';
import type { EmulatedInstance } from '../instance.ts';
import type { Vpc } from '../world.ts';
import type { QueryFilter } from './query-xml.ts';
import { Refusal } from './refusal.ts';

/** Values of one filter name; EC2 matches when any of them matches any of the filter's. */
type FilterValues<T> = (subject: T) => readonly (string | undefined)[];

const MAX_FILTER_VALUES = 200;

const privateIps = (instance: EmulatedInstance): string[] =>
  interfacesOf(instance).flatMap((each) => [...each.privateIps]);
const publicIps = (instance: EmulatedInstance): (string | undefined)[] =>
  interfacesOf(instance).map((each) => each.publicIp);
const ipv6Addresses = (instance: EmulatedInstance): string[] =>
  interfacesOf(instance).flatMap((each) => [...each.ipv6Addresses]);
const privateDnsNames = (instance: EmulatedInstance): string[] =>
  privateIps(instance).map((ip) => privateDnsName(instance, ip));

const INSTANCE_FILTERS: Readonly<Record<string, FilterValues<EmulatedInstance>>> = {
  'private-ip-address': (instance) => [primaryIp(instance)],
  'ip-address': (instance) => publicIps(instance).slice(0, 1),
  'ipv6-address': ipv6Addresses,
  'network-interface.addresses.private-ip-address': privateIps,
  'network-interface.private-ip-address': (instance) =>
    interfacesOf(instance).map((each) => each.privateIps[0]),
  'network-interface.addresses.association.public-ip': publicIps,
  'network-interface.association.public-ip': publicIps,
  'network-interface.addresses.association.ip-owner-id': (instance) =>
    publicIps(instance).map((ip) => (ip === undefined ? undefined : 'amazon')),
  'network-interface.ipv6-addresses.ipv6-address': ipv6Addresses,
  'network-interface.private-dns-name': privateDnsNames,
  'network-interface.network-interface-id': (instance) =>
    interfacesOf(instance).map((each) => each.networkInterfaceId),
  'network-interface.vpc-id': (instance) => interfacesOf(instance).map((each) => each.vpcId),
  'network-interface.subnet-id': (instance) => interfacesOf(instance).map((each) => each.subnetId),
  'private-dns-name': (instance) => privateDnsNames(instance).slice(0, 1),
  'dns-name': (instance) =>
    publicIps(instance)
      .slice(0, 1)
      .map((ip) => (ip === undefined ? undefined : publicDnsName(instance, ip))),
  'instance-id': (instance) => [instance.instanceId],
  'instance-state-name': (instance) => [instance.state],
  'instance-state-code': (instance) => [String(STATE_CODES[instance.state])],
  'instance-type': (instance) => [instance.instanceType],
  'image-id': (instance) => [instance.imageId],
  'availability-zone': (instance) => [instance.availabilityZone],
  'launch-time': (instance) => [new Date(instance.launchTime).toISOString()],
  'vpc-id': (instance) =>
    interfacesOf(instance)
      .slice(0, 1)
      .map((each) => each.vpcId),
  'subnet-id': (instance) =>
    interfacesOf(instance)
      .slice(0, 1)
      .map((each) => each.subnetId),
  'tag-key': (instance) => Object.keys(instance.tags),
  'tag-value': (instance) => Object.values(instance.tags),
};

const VPC_FILTERS: Readonly<Record<string, FilterValues<Vpc>>> = {
  'vpc-id': (vpc) => [vpc.vpcId],
  cidr: (vpc) => [vpc.cidrBlock],
  'cidr-block-association.cidr-block': (vpc) => [vpc.cidrBlock],
  'is-default': (vpc) => [String(vpc.isDefault)],
  state: () => ['available'],
  'tag-key': (vpc) => Object.keys(vpc.tags),
};

export const STATE_CODES = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
} as const;

/** Throws Refusal for a filter EC2 does not know. */
export function filterInstances(
  instances: readonly EmulatedInstance[],
  filters: readonly QueryFilter[],
): EmulatedInstance[] {
  return applyFilters(instances, filters, INSTANCE_FILTERS);
}

export function filterVpcs(vpcs: readonly Vpc[], filters: readonly QueryFilter[]): Vpc[] {
  return applyFilters(vpcs, filters, VPC_FILTERS);
}

function applyFilters<T extends { readonly tags: Readonly<Record<string, string>> }>(
  subjects: readonly T[],
  filters: readonly QueryFilter[],
  table: Readonly<Record<string, FilterValues<T>>>,
): T[] {
  let left = [...subjects];
  for (const { name, values } of filters) {
    if (values.length > MAX_FILTER_VALUES) {
      throw new Refusal(
        'FilterLimitExceeded',
        `The maximum number of filter values specified on a single call is ${MAX_FILTER_VALUES}`,
      );
    }
    const read = filterValues(name, table);
    const patterns = values.map(wildcardPattern);
    left = left.filter((subject) =>
      read(subject).some((value) => value !== undefined && patterns.some((pattern) => pattern.test(value))),
    );
  }
  return left;
}

function filterValues<T extends { readonly tags: Readonly<Record<string, string>> }>(
  name: string,
  table: Readonly<Record<string, FilterValues<T>>>,
): FilterValues<T> {
  if (name.startsWith('tag:')) {
    const key = name.slice('tag:'.length);
    return (subject) => [subject.tags[key]];
  }
  const read = Object.hasOwn(table, name) ? table[name] : undefined;
  if (read === undefined) throw new Refusal('InvalidParameterValue', `The filter '${name}' is invalid`);
  return read;
}

/** '*' is any run of characters, '?' any one; a backslash takes the meaning away. Matching is case-sensitive. */
export function wildcardPattern(text: string): RegExp {
  const source = text.replace(/\\[*?\\]|[*?]|[^*?\\]+|\\/g, (part) => {
    if (part === '*') return '[^]*';
    if (part === '?') return '[^]';
    const literal = part.length === 2 && part.startsWith('\\') ? part.slice(1) : part;
    return literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${source}$`);
}
