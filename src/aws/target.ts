/**
 * What a user may write for a node, told apart by form alone. Pure.
 *
 * | written | kind |
 * | --- | --- |
 * | `i-0123456789abcdef0`, `i-....ec2.internal`, `i-....us-west-2.compute.internal` | instanceId |
 * | `mi-0123456789abcdef0` | managedInstanceId |
 * | `10.0.1.5`, `2600:1f14::5`, `[2600:1f14::5]` | ip |
 * | `ip-10-0-1-5`, `ip-10-0-1-5.ec2.internal`, `ip-10-0-1-5.us-west-2.compute.internal` | privateDns |
 * | `ec2-52-1-2-3.us-west-2.compute.amazonaws.com`, `ec2-52-1-2-3.compute-1.amazonaws.com` | publicDns |
 * | anything else | name: the Name tag, a node of a cluster (`head.c`, `c-worker1`, `c`), or another DNS name |
 */
import { ProxyError } from '../errors.ts';
import { parseIp } from './ip-address.ts';

export type Target = { readonly text: string } & (
  | { readonly kind: 'instanceId'; readonly id: string; readonly region?: string }
  | { readonly kind: 'managedInstanceId'; readonly id: string }
  | { readonly kind: 'ip'; readonly address: string; readonly family: 4 | 6 }
  | { readonly kind: 'privateDns'; readonly address: string; readonly family: 4; readonly region?: string }
  | { readonly kind: 'publicDns'; readonly address: string; readonly family: 4; readonly region: string }
  | { readonly kind: 'name'; readonly name: string }
);

/** The longest tag value. */
const MAX_LENGTH = 256;

/** TARGET_INVALID for what cannot be any of them. */
export function parseTarget(text: string): Target {
  checkText(text);
  const ip = parseIp(text);
  if (ip !== undefined) return { text, kind: 'ip', ...ip };
  if (/^\[|\]$/.test(text) || /^[0-9a-f:]*:[0-9a-f:.]*$/i.test(text))
    throw invalid(text, 'it is not an IPv6 address');
  if (/^\d+(\.\d+)+$/.test(text)) throw invalid(text, 'it is not an IPv4 address');
  const dnsName = text.toLowerCase().replace(/\.$/, '');
  return parseId(text, dnsName) ?? parseEc2Name(text, dnsName) ?? { text, kind: 'name', name: text };
}

function checkText(text: string): void {
  if (text === '') throw new ProxyError('TARGET_INVALID', 'the target is empty');
  if (/[\s\p{Cc}]/u.test(text)) throw invalid(text, 'it holds white space or control characters');
  if (text.startsWith('-')) throw invalid(text, 'it starts with a hyphen');
  if (text.length > MAX_LENGTH) throw invalid(text, `it is longer than ${String(MAX_LENGTH)} characters`);
}

function parseId(text: string, dnsName: string): Target | undefined {
  const [label = '', ...domain] = dnsName.split('.');
  if (label.startsWith('mi-') && domain.length === 0) {
    if (/^mi-[0-9a-f]{17}$/.test(label)) return { text, kind: 'managedInstanceId', id: label };
    throw invalid(text, 'a managed-instance ID is mi- and 17 hexadecimal digits');
  }
  if (!label.startsWith('i-')) return undefined;
  const region = regionOfDomain(domain.join('.'));
  if (/^i-(?:[0-9a-f]{8}|[0-9a-f]{17})$/.test(label) && (domain.length === 0 || region !== undefined)) {
    return { text, kind: 'instanceId', id: label, ...(region !== undefined && { region }) };
  }
  if (domain.length > 0 && region === undefined) return undefined;
  throw invalid(text, 'an instance ID is i- and 8 or 17 hexadecimal digits');
}

/** The IP-based names that EC2 gives: the address and the region are in them. */
function parseEc2Name(text: string, dnsName: string): Target | undefined {
  const match = /^(ip|ec2)-(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})(?:\.(.+))?$/.exec(dnsName);
  if (match === null) return undefined;
  const ip = parseIp(match.slice(2, 6).join('.'));
  if (ip?.family !== 4) return undefined;
  const address = ip.address;
  const domain = match[6];
  if (match[1] === 'ec2') {
    const region = /^(?:compute-1|([a-z0-9-]+)\.compute)\.amazonaws\.com(?:\.cn)?$/.exec(domain ?? '');
    return region === null
      ? undefined
      : { text, kind: 'publicDns', address, family: 4, region: region[1] ?? 'us-east-1' };
  }
  // A VPC may have a domain of its own, which tells nothing about the region.
  const region = domain === undefined ? undefined : regionOfDomain(domain);
  return { text, kind: 'privateDns', address, family: 4, ...(region !== undefined && { region }) };
}

function regionOfDomain(domain: string): string | undefined {
  if (domain === 'ec2.internal') return 'us-east-1';
  return /^([a-z0-9-]+)\.compute\.internal$/.exec(domain)?.[1];
}

/** The region that the target's own name tells: after --region, before environment and profile. */
export function regionOf(target: Target): string | undefined {
  return 'region' in target ? target.region : undefined;
}

/** False for IDs, which SSM takes as they are. */
export function needsEc2(target: Target): boolean {
  return target.kind !== 'instanceId' && target.kind !== 'managedInstanceId';
}

function invalid(text: string, why: string): ProxyError {
  // A terminal shows this: no control characters, not even the ones that JSON leaves alone.
  const shown = JSON.stringify(text.slice(0, 80)).replace(/\p{Cc}/gu, '?');
  return new ProxyError('TARGET_INVALID', `${shown} is no target: ${why}`, {
    hint: 'a target is an IP address, i-... or mi-..., a private DNS name, or the Name tag of an instance',
  });
}
