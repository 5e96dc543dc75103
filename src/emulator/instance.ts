/** One emulated machine as EC2 and SSM know it, and the TCP addresses behind its ports. */
import * as crypto from 'node:crypto';
import type { AgentBehaviour, DialAddress } from './agent-link.ts';

export const INSTANCE_STATES = [
  'pending',
  'running',
  'shutting-down',
  'terminated',
  'stopping',
  'stopped',
] as const;
export type InstanceState = (typeof INSTANCE_STATES)[number];

export interface NetworkInterface {
  readonly networkInterfaceId: string;
  readonly subnetId: string;
  readonly vpcId: string;
  readonly macAddress: string;
  /** IPv4; the first is the primary one. */
  readonly privateIps: readonly string[];
  readonly ipv6Addresses: readonly string[];
  readonly publicIp: string | undefined;
}

export interface EmulatedInstance {
  /** 'i-...', or 'mi-...' for a managed machine outside EC2, which EC2 does not list. */
  readonly instanceId: string;
  region: string;
  state: InstanceState;
  /** Milliseconds since the epoch. */
  stateChangedAt: number;
  /** The first is the primary one. */
  interfaces: readonly NetworkInterface[];
  /** Private DNS names are IP-based ('ip-name') or resource-based ('resource-name'). */
  hostnameType: 'ip-name' | 'resource-name';
  /** EC2 tags; 'Name' is the name. */
  tags: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  launchTime: number;
  instanceType: string;
  imageId: string;
  availabilityZone: string;
  /** Name of its instance profile (node-roles.ts); undefined: none. */
  instanceProfile: string | undefined;
  agentOnline: boolean;
  agentVersion: string;
  platformName: string;
  /** How its agent behaves; shared with running sessions. */
  readonly behaviour: AgentBehaviour;
  /**
   * What stands behind a port: keys are '22', 'host:5432' (seen from the node), or '*' for the same port on this
   * machine's loopback. A port without an entry refuses connections.
   */
  dial: Readonly<Record<string, DialAddress>>;
  /** Public host keys, lines of type, base64, comment: what its commands read and its console has shown. */
  hostKeys: readonly string[];
  /** What GetConsoleOutput answers; undefined: the start of a machine with these host keys; null: nothing. */
  consoleOutput: string | null | undefined;
  /** For the description only: how to log in. */
  user: string;
  identityFile: string | undefined;
}

/** Nothing listens here: the port of a service retired long ago, below those any user may bind. */
const REFUSED: DialAddress = { host: '127.0.0.1', port: 1 };

export function instanceName(instance: EmulatedInstance): string {
  return instance.tags['Name'] ?? '';
}

export function isManaged(instance: EmulatedInstance): boolean {
  return instance.instanceId.startsWith('mi-');
}

/** EC2 takes the addresses away when an instance is terminated. */
export function interfacesOf(instance: EmulatedInstance): readonly NetworkInterface[] {
  return instance.state === 'terminated' ? [] : instance.interfaces;
}

export function primaryIp(instance: EmulatedInstance): string | undefined {
  return interfacesOf(instance)[0]?.privateIps[0];
}

/** The private DNS name EC2 gives to an address of the instance. */
export function privateDnsName(instance: EmulatedInstance, ip: string): string {
  const host =
    instance.hostnameType === 'resource-name' ? instance.instanceId : `ip-${ip.replaceAll('.', '-')}`;
  return `${host}.${instance.region === 'us-east-1' ? 'ec2' : `${instance.region}.compute`}.internal`;
}

export function publicDnsName(instance: EmulatedInstance, publicIp: string): string {
  const host = `ec2-${publicIp.replaceAll('.', '-')}`;
  return `${host}.${instance.region === 'us-east-1' ? 'compute-1' : `${instance.region}.compute`}.amazonaws.com`;
}

/** True when the host is a name or address of the instance. */
export function isHostOf(instance: EmulatedInstance, host: string): boolean {
  return interfacesOf(instance).some(
    (each) =>
      each.privateIps.some((ip) => ip === host || privateDnsName(instance, ip) === host) ||
      each.ipv6Addresses.includes(host) ||
      each.publicIp === host,
  );
}

/**
 * Where a connection made on `from` really goes. `host` undefined is the node itself. Other emulated instances are
 * reached by their addresses; what nobody knows refuses, so that nothing leaves this machine unasked.
 */
export function resolveDial(
  from: EmulatedInstance,
  all: Iterable<EmulatedInstance>,
  host: string | undefined,
  port: number,
): DialAddress {
  if (host !== undefined) {
    const mapped = from.dial[`${host}:${port}`];
    if (mapped !== undefined) return mapped;
    if (!['localhost', '127.0.0.1', '::1'].includes(host)) {
      for (const other of all) {
        if (other.state === 'running' && isHostOf(other, host)) return ownPort(other, port);
      }
      return REFUSED;
    }
  }
  return ownPort(from, port);
}

function ownPort(instance: EmulatedInstance, port: number): DialAddress {
  const mapped = instance.dial[String(port)];
  if (mapped !== undefined) return mapped;
  const any = instance.dial['*'];
  return any === undefined ? REFUSED : { host: any.host, port };
}

/** A resource ID in EC2's long form, e.g. randomResourceId('eni'). */
export function randomResourceId(prefix: string): string {
  return `${prefix}-0${crypto.randomBytes(8).toString('hex')}`;
}
