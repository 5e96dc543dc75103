/** EC2's Query API, as much as finding and starting an instance takes, and what its console has shown. */
import { ACCOUNT_ID } from '../identities.ts';
import type { EmulatedInstance } from '../instance.ts';
import { isManaged } from '../instance.ts';
import { bootInstance } from '../instance-boot.ts';
import type { World } from '../world.ts';
import { filterInstances, filterVpcs } from './ec2-filters.ts';
import { instanceXml, stateXml, tagSet } from './ec2-instance-xml.ts';
import { pageOf } from './paging.ts';
import { items, numberedValues, readFilters } from './query-xml.ts';
import type { XmlElement } from './query-xml.ts';
import { Refusal } from './refusal.ts';

/** Answers one permitted EC2 action for a region. */
export type Ec2Operation = (world: World, region: string, parameters: URLSearchParams) => XmlElement;

export const EC2_OPERATIONS: Readonly<Record<string, Ec2Operation>> = {
  DescribeInstances: describeInstances,
  DescribeVpcs: describeVpcs,
  DescribeVpcEndpoints: describeVpcEndpoints,
  DescribeRegions: describeRegions,
  GetConsoleOutput: getConsoleOutput,
  StartInstances: startInstances,
};

const DEFAULT_PAGE = 1000;
const CONSOLE_BYTES = 64 * 1024;

function describeInstances(world: World, region: string, parameters: URLSearchParams): XmlElement {
  const ids = numberedValues(parameters, 'InstanceId');
  const maxResults = parameters.get('MaxResults');
  if (ids.length > 0 && maxResults !== null) {
    throw new Refusal(
      'InvalidParameterCombination',
      'The parameter instancesSet cannot be used with the parameter maxResults',
    );
  }
  const known = [...world.instances.values()].filter((each) => each.region === region && !isManaged(each));
  const chosen = ids.length === 0 ? known : pickById(known, ids);
  const matching = filterInstances(chosen, readFilters(parameters));
  const page = pageOf(
    matching,
    pageSize(world, maxResults),
    parameters.get('NextToken') ?? undefined,
    invalidToken,
  );
  return {
    reservationSet: items(page.items.map(reservation)),
    nextToken: page.nextToken,
  };
}

/** Filtered by VPC alone. */
function describeVpcEndpoints(world: World, region: string, parameters: URLSearchParams): XmlElement {
  const filters = readFilters(parameters);
  const ids = filters.flatMap(({ name, values }) => (name === 'vpc-id' ? values : []));
  const chosen = [...world.vpcs.values()].filter(
    (vpc) => vpc.region === region && (filters.length === 0 || ids.includes(vpc.vpcId)),
  );
  return {
    vpcEndpointSet: items(
      chosen.flatMap(({ vpcId, endpoints = [] }) =>
        endpoints.map((name, index) => ({
          vpcEndpointId: `vpce-${vpcId.slice(4)}${String(index)}`,
          vpcEndpointType: 'Interface',
          vpcId,
          serviceName: `com.amazonaws.${region}.${name}`,
          state: 'available',
        })),
      ),
    ),
  };
}

function describeVpcs(world: World, region: string, parameters: URLSearchParams): XmlElement {
  const ids = numberedValues(parameters, 'VpcId');
  const known = [...world.vpcs.values()].filter((vpc) => vpc.region === region);
  for (const id of ids) {
    if (!known.some((vpc) => vpc.vpcId === id)) {
      throw new Refusal('InvalidVpcID.NotFound', `The vpc ID '${id}' does not exist`);
    }
  }
  const chosen = ids.length === 0 ? known : known.filter((vpc) => ids.includes(vpc.vpcId));
  const matching = filterVpcs(chosen, readFilters(parameters));
  const size = pageSize(world, parameters.get('MaxResults'));
  const page = pageOf(matching, size, parameters.get('NextToken') ?? undefined, invalidToken);
  return {
    vpcSet: items(
      page.items.map((vpc) => ({
        vpcId: vpc.vpcId,
        ownerId: ACCOUNT_ID,
        state: 'available',
        cidrBlock: vpc.cidrBlock,
        cidrBlockAssociationSet: items([
          {
            cidrBlock: vpc.cidrBlock,
            associationId: `vpc-cidr-assoc-${vpc.vpcId.slice(4)}`,
            cidrBlockState: { state: 'associated' },
          },
        ]),
        dhcpOptionsId: 'dopt-0a1b2c3d4e5f60718',
        instanceTenancy: 'default',
        isDefault: vpc.isDefault,
        tagSet: tagSet(vpc.tags),
      })),
    ),
    nextToken: page.nextToken,
  };
}

/** Regions that hold instances, and the emulator's own. */
function describeRegions(world: World, _region: string, parameters: URLSearchParams): XmlElement {
  const asked = numberedValues(parameters, 'RegionName');
  const regions = [
    ...new Set([world.region, ...[...world.instances.values()].map((each) => each.region)]),
  ].sort();
  const unknown = asked.find((name) => !regions.includes(name));
  if (unknown !== undefined) {
    throw new Refusal('InvalidParameterValue', `Invalid region: '${unknown}'`);
  }
  const shown = asked.length === 0 ? regions : regions.filter((name) => asked.includes(name));
  return {
    regionInfo: items(
      shown.map((regionName) => ({
        regionName,
        regionEndpoint: `ec2.${regionName}.amazonaws.com`,
        optInStatus: 'opt-in-not-required',
      })),
    ),
  };
}

/** The newest 64 KiB, as EC2 keeps them; no output at all while there is none. */
function getConsoleOutput(world: World, region: string, parameters: URLSearchParams): XmlElement {
  const known = [...world.instances.values()].filter((each) => each.region === region && !isManaged(each));
  const [instance] = pickById(known, [parameters.get('InstanceId') ?? '']);
  if (instance === undefined) throw new Refusal('InvalidInstanceID.NotFound', 'The instance does not exist');
  const { consoleOutput = startOfMachine(instance) } = instance;
  return {
    instanceId: instance.instanceId,
    timestamp: new Date(instance.launchTime).toISOString(),
    output: Buffer.from(consoleOutput ?? '')
      .subarray(-CONSOLE_BYTES)
      .toString('base64'),
  };
}

/** As cloud-init writes it to the console at the first start. */
function startOfMachine(instance: EmulatedInstance): string {
  return [
    '[    0.000000] Linux version 6.8.0-1021-aws',
    '[   12.345678] cloud-init[612]: Generating public/private ed25519 key pair.',
    '-----BEGIN SSH HOST KEY KEYS-----',
    ...instance.hostKeys,
    '-----END SSH HOST KEY KEYS-----',
    '[   14.012345] cloud-init[612]: Cloud-init finished.',
    '',
  ].join('\r\n');
}

/** One that runs or starts is left as it is. */
function startInstances(world: World, region: string, parameters: URLSearchParams): XmlElement {
  const known = [...world.instances.values()].filter((each) => each.region === region && !isManaged(each));
  const chosen = pickById(known, numberedValues(parameters, 'InstanceId'));
  const wrong = chosen.find(({ state }) => !['stopped', 'pending', 'running'].includes(state));
  if (wrong !== undefined) {
    throw new Refusal(
      'IncorrectInstanceState',
      `The instance '${wrong.instanceId}' is not in a state from which it can be started.`,
    );
  }
  const changes = chosen.map((instance) => {
    const previous = instance.state;
    if (previous === 'stopped') bootInstance(world, instance);
    return {
      instanceId: instance.instanceId,
      currentState: stateXml(instance.state),
      previousState: stateXml(previous),
    };
  });
  return { instancesSet: items(changes) };
}

function pickById(known: readonly EmulatedInstance[], ids: readonly string[]): EmulatedInstance[] {
  const malformed = ids.find((id) => !/^i-([0-9a-f]{8}|[0-9a-f]{17})$/.test(id));
  if (malformed !== undefined) throw new Refusal('InvalidInstanceID.Malformed', `Invalid id: "${malformed}"`);
  const missing = ids.filter((id) => !known.some((each) => each.instanceId === id));
  if (missing.length > 0) {
    throw new Refusal(
      'InvalidInstanceID.NotFound',
      missing.length === 1
        ? `The instance ID '${missing[0] ?? ''}' does not exist`
        : `The instance IDs '${missing.join(', ')}' do not exist`,
    );
  }
  return known.filter((each) => ids.includes(each.instanceId));
}

function pageSize(world: World, maxResults: string | null): number {
  const forced = world.faults.api.pageItems;
  let size = DEFAULT_PAGE;
  if (maxResults !== null) {
    size = Number(maxResults);
    if (!Number.isSafeInteger(size)) {
      throw new Refusal(
        'InvalidParameterValue',
        `Invalid value '${maxResults}' for maxResults. Must be an integer.`,
      );
    }
    if (size < 5) {
      throw new Refusal(
        'InvalidParameterValue',
        `Value ( ${size} ) for parameter maxResults is invalid. Expecting a value greater than 5.`,
      );
    }
    size = Math.min(size, DEFAULT_PAGE);
  }
  return forced > 0 ? Math.min(size, forced) : size;
}

function invalidToken(): Refusal {
  return new Refusal('InvalidNextToken', 'The token is invalid.');
}

function reservation(instance: EmulatedInstance): XmlElement {
  return {
    reservationId: `r-${instance.instanceId.slice(2)}`,
    ownerId: ACCOUNT_ID,
    groupSet: '',
    instancesSet: items([instanceXml(instance)]),
  };
}
