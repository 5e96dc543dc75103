/**
 * Which HTTP proxy a URL goes through, from the environment. Pure.
 *
 * The rules are those that the AWS CLI's users have (Python's requests, and Go's httpproxy in the official plugin),
 * which is why this is not the proxy-from-env package: there, `NO_PROXY=amazonaws.com` matches that very host only,
 * `wss:` asks for WSS_PROXY, and ranges such as 10.0.0.0/8 are unknown.
 *
 * - `https:` and `wss:` ask HTTPS_PROXY, `http:` and `ws:` HTTP_PROXY, then ALL_PROXY; lower case wins.
 * - NO_PROXY: a list of hosts, each with its subdomains (a leading dot or `*.` changes nothing), addresses, CIDR
 *   ranges, each optionally with `:port`; `*` stands for everything.
 * - Loopback is never proxied, as in Go: a proxy's own loopback is not the one meant.
 */
import { BlockList, isIP } from 'node:net';
import { ProxyError } from '../errors.ts';
import { isLoopback, splitUrl } from './raw-url.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy's URL, or undefined for a direct connection. CONFIG_INVALID for a setting that cannot be used. */
export function chooseProxy(url: string, env: Environment): URL | undefined {
  const target = splitUrl(url);
  if (target === undefined || isLoopback(target.hostname)) return undefined;
  const isSecure = target.scheme === 'https' || target.scheme === 'wss';
  const found =
    readVariable(env, isSecure ? 'https_proxy' : 'http_proxy') ?? readVariable(env, 'all_proxy') ?? undefined;
  if (found === undefined) return undefined;
  const exceptions = readVariable(env, 'no_proxy')?.value ?? '';
  if (isExempt(target.hostname, target.port, exceptions)) return undefined;
  return parseProxy(found.value, found.name);
}

function readVariable(env: Environment, name: string): { name: string; value: string } | undefined {
  for (const spelling of [name, name.toUpperCase()]) {
    const value = env[spelling]?.trim();
    if (value !== undefined && value !== '') return { name: spelling, value };
  }
  return undefined;
}

/** The value may hold a password, so messages name the variable only. */
function parseProxy(value: string, name: string): URL {
  let proxy: URL;
  try {
    proxy = new URL(value.includes('://') ? value : `http://${value}`);
  } catch {
    throw new ProxyError('CONFIG_INVALID', `${name} is not the URL of a proxy`, {
      hint: `set ${name} to a URL such as http://proxy.example.com:3128`,
    });
  }
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:') {
    throw new ProxyError(
      'CONFIG_INVALID',
      `${name} names a ${proxy.protocol.slice(0, -1)} proxy, and only http and https proxies are supported`,
      { hint: `set ${name} to an HTTP proxy, or add the AWS hosts to NO_PROXY` },
    );
  }
  return proxy;
}

/** True when the host is on the NO_PROXY list. */
export function isExempt(hostname: string, port: number, list: string): boolean {
  return list.split(/[\s,]+/).some((entry) => entry !== '' && matches(hostname, port, entry.toLowerCase()));
}

function matches(hostname: string, port: number, entry: string): boolean {
  if (entry === '*') return true;
  const split = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(entry);
  if (split !== null && Number(split[2]) !== port) return false;
  const host = (split?.[1] ?? entry).replace(/^\[|\]$/g, '');
  if (host.includes('/')) return isInRange(hostname, host);
  if (isIP(hostname) !== 0) return hostname === host;
  const suffix = host.replace(/^\*?\./, '');
  return suffix !== '' && (hostname === suffix || hostname.endsWith(`.${suffix}`));
}

function isInRange(hostname: string, range: string): boolean {
  const family = isIP(hostname);
  const [network, bits] = range.split('/');
  if (family === 0 || network === undefined || isIP(network) !== family) return false;
  const prefix = Number(bits);
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > (family === 4 ? 32 : 128)) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const block = new BlockList();
  block.addSubnet(network, prefix, type);
  return block.check(hostname, type);
}
