/** IP addresses in one spelling each, so that two texts name the same address exactly when they are equal. */
import { isIPv4, isIPv6 } from 'node:net';

export interface IpAddress {
  /** Dotted decimal; or IPv6 in lower case with the longest run of zeros compressed (RFC 5952). */
  readonly address: string;
  readonly family: 4 | 6;
}

/** Undefined for what is no address. Brackets around IPv6 are accepted; a mapped address (`::ffff:10.0.0.1`) is IPv4. */
export function parseIp(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { address: text, family: 4 };
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  // A zone (`fe80::1%eth0`) means nothing outside its own machine.
  if (!bare.includes(':') || !isIPv6(bare) || bare.includes('%')) return undefined;
  const address = new URL(`http://[${bare}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address);
  if (mapped === null) return { address, family: 6 };
  const bits = parseInt(mapped[1] ?? '', 16) * 0x10000 + parseInt(mapped[2] ?? '', 16);
  return { address: [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.'), family: 4 };
}

/** True for IPv4 ranges that are private, shared (RFC 6598) or link-local: no instance has one as its public address. */
export function isPrivateIpv4(address: string): boolean {
  const [a = -1, b = -1] = address.split('.').map(Number);
  return (
    a === 10 ||
    (a === 172 && b >= 16 && b <= 31) ||
    (a === 192 && b === 168) ||
    (a === 100 && b >= 64 && b <= 127) ||
    (a === 169 && b === 254)
  );
}
