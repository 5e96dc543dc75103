/**
 * The EC2 calls: DescribeInstances, DescribeVpcs and DescribeRegions, as plain records, and GetConsoleOutput. The only file that knows the EC2 client,
 * which is the largest part of the program: it is loaded only when a target has to be looked up.
 */
import type { Filter, Instance as SdkInstance, Tag } from '@aws-sdk/client-ec2';
import {
  DescribeInstancesCommand,
  DescribeRegionsCommand,
  DescribeVpcEndpointsCommand,
  DescribeVpcsCommand,
  EC2Client,
  GetConsoleOutputCommand,
} from '@aws-sdk/client-ec2';
import { ProxyError } from '../errors.ts';
import type { CallOptions } from './call.ts';
import { call } from './call.ts';
import { clientCache } from './client-cache.ts';
import type { AwsContext } from './context.ts';
import { serviceErrorOf } from './errors.ts';
import { parseIp } from './ip-address.ts';
import { INSTANCE_STATES } from './node-facts.ts';
import type { Instance } from './node-facts.ts';

export type { Instance, InstanceState } from './node-facts.ts';

/** An instance as EC2 describes it: with everything that a target can name it by. */
export interface InstanceRecord {
  readonly instance: Instance;
  /** Every address of every network interface, canonical. */
  readonly addresses: readonly string[];
  /** Lower case. */
  readonly dnsNames: readonly string[];
  readonly tags: ReadonlyMap<string, string>;
  /** `User initiated (2026-11-20 10:11:12 GMT)`. */
  readonly transitionReason: string;
}

/** A text that begins so. */
export interface Beginning {
  readonly startsWith: string;
}

/** Name and values of a filter; texts are taken literally. */
export type Ec2Filter = readonly [name: string, ...values: (string | Beginning)[]];

const PAGE_SIZE = 1000;
/** Filters name one address or name: more pages than this is a server that ignores them. */
const MAX_PAGES = 50;

const clientOf = clientCache('EC2', (config) => new EC2Client(config));

/** All instances, in any state, that match every filter. */
export async function describeInstances(
  context: AwsContext,
  filters: readonly Ec2Filter[],
  options: CallOptions,
): Promise<InstanceRecord[]> {
  const records: InstanceRecord[] = [];
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const command = new DescribeInstancesCommand({
      Filters: filters.map(asSdkFilter),
      MaxResults: PAGE_SIZE,
      ...(token !== undefined && { NextToken: token }),
    });
    const answer = await call(
      context,
      {
        operation: 'DescribeInstances',
        send: (credentials, abortSignal) =>
          clientOf(context, credentials, options).send(command, { abortSignal }),
      },
      options,
    );
    for (const reservation of answer.Reservations ?? []) {
      for (const instance of reservation.Instances ?? []) {
        const record = asRecord(instance, context.region);
        if (record !== undefined) records.push(record);
      }
    }
    token = answer.NextToken;
    if (!token) return records;
  }
  throw new ProxyError('SERVICE_ERROR', `DescribeInstances did not end after ${String(MAX_PAGES)} pages`);
}

/** Whether DescribeInstances is allowed, without running it. ACCESS_DENIED, CREDENTIALS_*, ENDPOINT_UNREACHABLE and others. */
export async function tryDescribeInstances(context: AwsContext, options: CallOptions): Promise<void> {
  const command = new DescribeInstancesCommand({ DryRun: true });
  try {
    await call(
      context,
      {
        operation: 'DescribeInstances',
        send: (credentials, abortSignal) =>
          clientOf(context, credentials, options).send(command, { abortSignal }),
      },
      options,
    );
  } catch (error) {
    // The answer to a permitted dry run.
    if (error instanceof ProxyError && serviceErrorOf(error.cause)?.code === 'DryRunOperation') return;
    throw error;
  }
}

/** Names (Name tags) by ID of the VPCs that match; VPCs without a name have an empty one. */
export async function describeVpcs(
  context: AwsContext,
  filters: readonly Ec2Filter[],
  options: CallOptions,
): Promise<ReadonlyMap<string, string>> {
  const command = new DescribeVpcsCommand({ Filters: filters.map(asSdkFilter) });
  const answer = await call(
    context,
    {
      operation: 'DescribeVpcs',
      send: (credentials, abortSignal) =>
        clientOf(context, credentials, options).send(command, { abortSignal }),
    },
    options,
  );
  return new Map((answer.Vpcs ?? []).map((vpc) => [vpc.VpcId ?? '', tagMap(vpc.Tags).get('Name') ?? '']));
}

/** Names of the services that have an available endpoint in the VPC: `com.amazonaws.us-east-1.ssm`. */
export async function describeVpcEndpoints(
  context: AwsContext,
  vpcId: string,
  options: CallOptions,
): Promise<readonly string[]> {
  const command = new DescribeVpcEndpointsCommand({ Filters: [asSdkFilter(['vpc-id', vpcId])] });
  const answer = await call(
    context,
    {
      operation: 'DescribeVpcEndpoints',
      send: (credentials, abortSignal) =>
        clientOf(context, credentials, options).send(command, { abortSignal }),
    },
    options,
  );
  return (answer.VpcEndpoints ?? [])
    .filter(({ State }) => State?.toLowerCase() === 'available')
    .flatMap(({ ServiceName }) => ServiceName ?? []);
}

/** Regions that the account has enabled, sorted. */
export async function describeRegions(context: AwsContext, options: CallOptions): Promise<readonly string[]> {
  const command = new DescribeRegionsCommand({ AllRegions: false });
  const answer = await call(
    context,
    {
      operation: 'DescribeRegions',
      send: (credentials, abortSignal) =>
        clientOf(context, credentials, options).send(command, { abortSignal }),
    },
    options,
  );
  return (answer.Regions ?? []).flatMap(({ RegionName: name }) => (name ? [name] : [])).sort();
}

/** What the instance has written to its serial console, as far as EC2 still has it; empty when that is nothing. */
export async function consoleOutput(
  context: AwsContext,
  instanceId: string,
  options: CallOptions,
): Promise<string> {
  const command = new GetConsoleOutputCommand({ InstanceId: instanceId });
  const answer = await call(
    context,
    {
      operation: 'GetConsoleOutput',
      send: (credentials, abortSignal) =>
        clientOf(context, credentials, options).send(command, { abortSignal }),
    },
    options,
  );
  return Buffer.from(answer.Output ?? '', 'base64').toString('utf8');
}

function asSdkFilter([name, ...values]: Ec2Filter): Filter {
  return {
    Name: name,
    Values: values.map((value) =>
      typeof value === 'string' ? literally(value) : `${literally(value.startsWith)}*`,
    ),
  };
}

/** EC2 takes `*` and `?` in filter values as wildcards. */
function literally(text: string): string {
  return text.replace(/[\\*?]/g, '\\$&');
}

function asRecord(instance: SdkInstance, region: string): InstanceRecord | undefined {
  const instanceId = instance.InstanceId;
  if (!instanceId) return undefined;
  const addresses = new Set<string>();
  const dnsNames = new Set<string>();
  const ipv6: string[] = [];
  const add = (set: Set<string>, text: string | undefined): void => {
    if (text) set.add(set === addresses ? (parseIp(text)?.address ?? text) : text.toLowerCase());
  };
  add(addresses, instance.PrivateIpAddress);
  add(addresses, instance.PublicIpAddress);
  add(addresses, instance.Ipv6Address);
  add(dnsNames, instance.PrivateDnsName);
  add(dnsNames, instance.PublicDnsName);
  for (const card of instance.NetworkInterfaces ?? []) {
    add(addresses, card.Association?.PublicIp);
    add(dnsNames, card.PrivateDnsName);
    add(dnsNames, card.Association?.PublicDnsName);
    for (const entry of card.PrivateIpAddresses ?? []) {
      add(addresses, entry.PrivateIpAddress);
      add(addresses, entry.Association?.PublicIp);
      add(dnsNames, entry.PrivateDnsName);
      add(dnsNames, entry.Association?.PublicDnsName);
    }
    for (const entry of card.Ipv6Addresses ?? []) {
      add(addresses, entry.Ipv6Address);
      if (entry.Ipv6Address) ipv6.push(entry.Ipv6Address);
    }
  }
  const tags = tagMap(instance.Tags);
  const name = tags.get('Name');
  const firstIpv6 = parseIp(instance.Ipv6Address ?? ipv6[0] ?? '')?.address;
  return {
    instance: {
      instanceId,
      ...(name && { name }),
      ...(instance.PrivateIpAddress && { privateIp: instance.PrivateIpAddress }),
      ...(instance.PublicIpAddress && { publicIp: instance.PublicIpAddress }),
      ...(firstIpv6 !== undefined && { ipv6: firstIpv6 }),
      region,
      ...(instance.VpcId && { vpcId: instance.VpcId }),
      state: INSTANCE_STATES.find((state) => state === instance.State?.Name) ?? 'unknown',
      ...(instance.LaunchTime && { launchTime: instance.LaunchTime }),
      ...(instance.IamInstanceProfile?.Arn && { instanceProfile: instance.IamInstanceProfile.Arn }),
    },
    addresses: [...addresses],
    dnsNames: [...dnsNames],
    tags,
    transitionReason: instance.StateTransitionReason ?? '',
  };
}

function tagMap(tags: readonly Tag[] | undefined): Map<string, string> {
  return new Map((tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));
}
