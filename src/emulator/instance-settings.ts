/** Builds instances from what a test or launcher asks for, and applies changes: JSON in, checked, defaults added. */
import * as crypto from 'node:crypto';
import * as net from 'node:net';
import { ProxyError } from '../errors.ts';
import { REAL_AGENT_BEHAVIOUR } from './agent-link.ts';
import type { AgentBehaviour, DialAddress } from './agent-link.ts';
import {
  asArray,
  asBoolean,
  asInteger,
  asNumber,
  asObject,
  asOneOf,
  asString,
  asStringMap,
  asStrings,
  onlyKeys,
  optional,
  wrong,
} from './checked-json.ts';
import { INSTANCE_STATES, randomResourceId } from './instance.ts';
import type { EmulatedInstance, InstanceState, NetworkInterface } from './instance.ts';
import { DEMO_PROFILE } from './node-roles.ts';

/** A network interface as given from outside. */
export interface InterfaceSpec {
  readonly privateIps: readonly string[];
  readonly ipv6Addresses?: readonly string[];
  readonly publicIp?: string;
  readonly vpcId?: string;
  readonly subnetId?: string;
  readonly networkInterfaceId?: string;
}

/** An instance, or a change to one, as given from outside. */
export interface InstanceSpec {
  readonly instanceId?: string;
  /** The Name tag. */
  readonly name?: string;
  readonly region?: string;
  readonly state?: InstanceState;
  /** Short for one interface with this address. */
  readonly privateIp?: string;
  readonly publicIp?: string;
  readonly vpcId?: string;
  readonly interfaces?: readonly InterfaceSpec[];
  readonly hostnameType?: 'ip-name' | 'resource-name';
  readonly tags?: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch, or ISO 8601 text. */
  readonly launchTime?: number | string;
  readonly instanceType?: string;
  /** Name of an instance profile; null: none. */
  readonly instanceProfile?: string | null;
  readonly agentOnline?: boolean;
  readonly agentVersion?: string;
  readonly behaviour?: Partial<AgentBehaviour>;
  /** Port or 'host:port' to an address 'host:port', or null to remove the entry. */
  readonly dial?: Readonly<Record<string, DialAddress | null>>;
  readonly user?: string;
  readonly identityFile?: string;
  /** Public host keys, as in known_hosts without the name. */
  readonly hostKeys?: readonly string[];
  /** null: the console has shown nothing. */
  readonly consoleOutput?: string | null;
}

export interface InstanceDefaults {
  readonly region: string;
  readonly vpcId: string;
  readonly subnetId: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

const SPEC_KEYS: readonly (keyof InstanceSpec)[] = [
  'instanceId',
  'name',
  'region',
  'state',
  'privateIp',
  'publicIp',
  'vpcId',
  'interfaces',
  'hostnameType',
  'tags',
  'launchTime',
  'instanceType',
  'instanceProfile',
  'agentOnline',
  'agentVersion',
  'behaviour',
  'dial',
  'user',
  'identityFile',
  'hostKeys',
  'consoleOutput',
];
const INSTANCE_ID = /^m?i-[0-9a-f]{8,17}$/;
const AGENT_VERSION = '3.3.987.0';

/** A new instance. Throws USAGE. */
export function createInstance(value: unknown, defaults: InstanceDefaults): EmulatedInstance {
  const given = asObject(value, 'instance');
  const instanceId =
    optional(given['instanceId'], 'instance.instanceId', asInstanceId) ?? randomResourceId('i');
  const region = optional(given['region'], 'instance.region', asString) ?? defaults.region;
  const instance: EmulatedInstance = {
    instanceId,
    region,
    state: 'running',
    stateChangedAt: defaults.now,
    interfaces: [],
    hostnameType: 'ip-name',
    tags: {},
    launchTime: defaults.now,
    instanceType: 'm7i.large',
    imageId: 'ami-0123456789abcdef0',
    availabilityZone: `${region}a`,
    instanceProfile: DEMO_PROFILE,
    agentOnline: true,
    agentVersion: AGENT_VERSION,
    platformName: 'Ubuntu',
    behaviour: { ...REAL_AGENT_BEHAVIOUR },
    dial: {},
    user: 'ubuntu',
    identityFile: undefined,
    hostKeys: [],
    consoleOutput: undefined,
  };
  changeInstance(instance, given, defaults);
  return instance;
}

/** Applies a change; the instance ID stays. Throws USAGE, and then nothing has changed. */
export function changeInstance(instance: EmulatedInstance, value: unknown, defaults: InstanceDefaults): void {
  const given = asObject(value, 'instance');
  onlyKeys(given, 'instance', SPEC_KEYS);
  const change: Partial<EmulatedInstance> = {};
  const put = <K extends keyof EmulatedInstance>(
    key: K,
    read: (value: unknown, path: string) => EmulatedInstance[K],
  ): void => {
    if (given[key] !== undefined) change[key] = read(given[key], `instance.${key}`);
  };
  if (given['instanceId'] !== undefined && given['instanceId'] !== instance.instanceId) {
    throw wrong('instance.instanceId', 'left as it is');
  }
  put('region', asString);
  put('state', (each, path) => asOneOf(each, path, INSTANCE_STATES));
  put('hostnameType', (each, path) => asOneOf(each, path, ['ip-name', 'resource-name']));
  put('launchTime', asTime);
  put('instanceType', asString);
  put('instanceProfile', (each, path) => (each === null ? undefined : asString(each, path)));
  put('agentOnline', asBoolean);
  put('agentVersion', asString);
  put('user', asString);
  put('identityFile', asString);
  put('hostKeys', asStrings);
  put('consoleOutput', (each, path) => (each === null ? null : asString(each, path)));
  put('interfaces', (each, path) =>
    asArray(each, path).map((one, i) => asInterface(one, `${path}[${i}]`, defaults)),
  );
  const short = readShortInterface(given, instance, defaults);
  if (short !== undefined) change.interfaces = short;
  const tags = optional(given['tags'], 'instance.tags', asStringMap);
  const name = optional(given['name'], 'instance.name', asString);
  if (tags !== undefined || name !== undefined) {
    change.tags = { ...(tags ?? instance.tags), ...(name === undefined ? {} : { Name: name }) };
  }
  const dial = optional(given['dial'], 'instance.dial', (each) => mergeDial(instance.dial, each));
  if (dial !== undefined) change.dial = dial;
  const behaviour = optional(given['behaviour'], 'instance.behaviour', readBehaviour);
  if (change.state !== undefined && change.state !== instance.state) change.stateChangedAt = defaults.now;
  Object.assign(instance, change);
  if (behaviour !== undefined) Object.assign(instance.behaviour, behaviour);
  if (change.region !== undefined) instance.availabilityZone = `${change.region}a`;
}

/** A part of AgentBehaviour. Throws USAGE. */
export function readBehaviour(value: unknown, path = 'behaviour'): Partial<AgentBehaviour> {
  const given = asObject(value, path);
  onlyKeys(given, path, Object.keys(REAL_AGENT_BEHAVIOUR));
  const change: Record<string, unknown> = {};
  for (const [key, each] of Object.entries(given)) {
    const at = `${path}.${key}`;
    if (key === 'reackDuplicates') change[key] = each === null ? undefined : asBoolean(each, at);
    else if (key === 'extraClientAction') change[key] = each === null ? undefined : asString(each, at);
    else if (key === 'payloadBytes') change[key] = asInteger(each, at, 1, 1_048_576);
    else if (typeof REAL_AGENT_BEHAVIOUR[key as keyof AgentBehaviour] === 'boolean')
      change[key] = asBoolean(each, at);
    else change[key] = asNumber(each, at);
  }
  return change;
}

function readShortInterface(
  given: Readonly<Record<string, unknown>>,
  instance: EmulatedInstance,
  defaults: InstanceDefaults,
): readonly NetworkInterface[] | undefined {
  const { privateIp, publicIp, vpcId } = given;
  if (privateIp === undefined && publicIp === undefined && vpcId === undefined) return undefined;
  if (given['interfaces'] !== undefined)
    throw wrong('instance.interfaces', 'given alone, without privateIp, publicIp or vpcId');
  const [first, ...rest] = instance.interfaces;
  const changed = asInterface(
    {
      privateIps: privateIp === undefined ? (first?.privateIps ?? []) : [privateIp],
      ipv6Addresses: first?.ipv6Addresses ?? [],
      publicIp: publicIp ?? first?.publicIp,
      vpcId: vpcId ?? first?.vpcId,
      subnetId: first?.subnetId,
      networkInterfaceId: first?.networkInterfaceId,
    },
    'instance',
    defaults,
  );
  return [changed, ...rest];
}

function asInterface(value: unknown, path: string, defaults: InstanceDefaults): NetworkInterface {
  const given = asObject(value, path);
  onlyKeys(given, path, [
    'privateIps',
    'ipv6Addresses',
    'publicIp',
    'vpcId',
    'subnetId',
    'networkInterfaceId',
  ]);
  const privateIps = asStrings(given['privateIps'], `${path}.privateIps`).map((ip) =>
    asIp(ip, `${path}.privateIps`, 4),
  );
  if (privateIps.length === 0) throw wrong(`${path}.privateIps`, 'at least one IPv4 address');
  const mac = crypto.randomBytes(5).toString('hex').match(/../g)?.join(':') ?? '';
  return {
    networkInterfaceId:
      optional(given['networkInterfaceId'], `${path}.networkInterfaceId`, asString) ??
      randomResourceId('eni'),
    subnetId: optional(given['subnetId'], `${path}.subnetId`, asString) ?? defaults.subnetId,
    vpcId: optional(given['vpcId'], `${path}.vpcId`, asString) ?? defaults.vpcId,
    macAddress: `0a:${mac}`,
    privateIps,
    ipv6Addresses: (optional(given['ipv6Addresses'], `${path}.ipv6Addresses`, asStrings) ?? []).map((ip) =>
      asIp(ip, `${path}.ipv6Addresses`, 6),
    ),
    publicIp: optional(given['publicIp'], `${path}.publicIp`, (each, at) => asIp(asString(each, at), at, 4)),
  };
}

function mergeDial(
  current: Readonly<Record<string, DialAddress>>,
  value: unknown,
): Record<string, DialAddress> {
  const merged = { ...current };
  for (const [key, each] of Object.entries(asObject(value, 'instance.dial'))) {
    if (each === null) delete merged[key];
    else merged[key] = asDialAddress(each, `instance.dial.${key}`);
  }
  return merged;
}

/** {host, port} or 'host:port'. Throws USAGE. */
export function asDialAddress(value: unknown, path: string): DialAddress {
  if (typeof value === 'string') {
    const colon = value.lastIndexOf(':');
    return {
      host: value.slice(0, Math.max(0, colon)),
      port: asInteger(Number(value.slice(colon + 1)), path, 0, 65_535),
    };
  }
  const given = asObject(value, path);
  return {
    host: asString(given['host'], `${path}.host`),
    port: asInteger(given['port'], `${path}.port`, 0, 65_535),
  };
}

function asInstanceId(value: unknown, path: string): string {
  const text = asString(value, path);
  if (!INSTANCE_ID.test(text))
    throw new ProxyError('USAGE', `emulator setting ${path} must be an instance ID`);
  return text;
}

function asIp(ip: string, path: string, version: 4 | 6): string {
  if (net.isIP(ip) !== version) throw wrong(path, `an IPv${version} address`);
  return ip;
}

function asTime(value: unknown, path: string): number {
  const time = typeof value === 'string' ? Date.parse(value) : value;
  return asNumber(time, path);
}
