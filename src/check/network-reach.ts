/**
 * The way to each AWS endpoint, as the calls take it: name, address (private: a VPC endpoint), HTTP proxy, TLS. Any
 * answer of HTTP counts: what the service says to a bare request does not matter.
 */
import { lookup } from 'node:dns/promises';
import http from 'node:http';
import https from 'node:https';
import { BlockList, isIPv4 } from 'node:net';
import type { AwsContext } from '../aws/context.ts';
import { serviceHosts } from '../aws/service-hosts.ts';
import type { ServiceHost } from '../aws/service-hosts.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import { connectErrorOf } from '../transport/connect-error.ts';
import type { Network } from '../transport/network.ts';
import type { Finding } from './finding.ts';
import { failed, failure, ok } from './finding.ts';
import { brief } from '../times-in-words.ts';

/** For DNS, TCP, TLS and the first byte. Milliseconds. */
const REACH_LIMIT_MS = 6_000;
/** Longest list of addresses in a line. */
const MAX_ADDRESSES = 3;

const PRIVATE = new BlockList();
PRIVATE.addSubnet('10.0.0.0', 8);
PRIVATE.addSubnet('172.16.0.0', 12);
PRIVATE.addSubnet('192.168.0.0', 16);
PRIVATE.addSubnet('100.64.0.0', 10);
PRIVATE.addSubnet('fc00::', 7, 'ipv6');
const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

export async function checkNetwork(pending: Promise<AwsContext>): Promise<readonly Finding[]> {
  const context = await pending;
  let hosts: readonly ServiceHost[];
  try {
    hosts = serviceHosts(context);
  } catch (thrown) {
    return [failure('network.endpoints', 'Endpoints', thrown)];
  }
  return Promise.all(hosts.map((host) => reachFinding(host, context.network)));
}

async function reachFinding(
  { service, origin, isConfigured }: ServiceHost,
  network: Network,
): Promise<Finding> {
  const id = `network.${service}`;
  try {
    const proxy = network.proxyFor(origin);
    const { hostname, host } = new URL(origin);
    // Behind a proxy it is the proxy that looks the name up.
    const addresses = proxy === undefined ? await addressesOf(hostname, origin) : [];
    const ms = await answerTime(origin, network, proxy);
    const way = proxy === undefined ? describeAddresses(addresses) : `through the HTTP proxy ${proxy}`;
    const secure = origin.startsWith('https:') ? 'TLS is good' : 'no TLS';
    return ok(id, service, `${host}${isConfigured ? ' (by settings)' : ''}: ${way}, ${secure}, ${brief(ms)}`);
  } catch (thrown) {
    const { message, hint } = asProxyError(thrown);
    const fix =
      service === 'ssmmessages'
        ? `${hint ?? ''}; in a VPC without internet it needs its own endpoint, com.amazonaws.<region>.ssmmessages`
        : hint;
    return failed(id, service, message, fix);
  }
}

async function addressesOf(hostname: string, origin: string): Promise<readonly string[]> {
  try {
    const found = await lookup(hostname.replace(/^\[|\]$/g, ''), { all: true });
    return found.map(({ address }) => address);
  } catch (error) {
    throw connectErrorOf(error, origin) ?? error;
  }
}

function describeAddresses(addresses: readonly string[]): string {
  const shown = addresses.slice(0, MAX_ADDRESSES).join(', ');
  const more = addresses.length > MAX_ADDRESSES ? ', ...' : '';
  return `${shown}${more} (${addressKind(addresses)})`;
}

/** In which kind of network the addresses are. */
export function addressKind(addresses: readonly string[]): string {
  const is = (list: BlockList): boolean =>
    addresses.some((address) => list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6'));
  if (is(LOOPBACK)) return 'this machine';
  return is(PRIVATE) ? 'private: a VPC endpoint' : 'public';
}

async function answerTime(origin: string, network: Network, proxy: string | undefined): Promise<number> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), REACH_LIMIT_MS);
  const startedAt = performance.now();
  try {
    const agent = await network.agentFor(origin, { isChannel: true, signal: abort.signal });
    await new Promise<void>((resolve, reject) => {
      const { request } = origin.startsWith('https:') ? https : http;
      const sent = request(origin, { agent, method: 'GET', signal: abort.signal }, (response) => {
        response.destroy();
        resolve();
      });
      sent.on('error', reject);
      sent.end();
    });
    return performance.now() - startedAt;
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    if (!abort.signal.aborted) throw connectErrorOf(error, origin, proxy) ?? error;
    const where = proxy === undefined ? '' : ` through the HTTP proxy ${proxy}`;
    throw new ProxyError(
      'ENDPOINT_UNREACHABLE',
      `no answer from ${new URL(origin).host}${where} within ${brief(REACH_LIMIT_MS)}`,
      {
        hint: 'check the network, HTTPS_PROXY, and that a firewall or security group lets port 443 through',
        cause: error,
      },
    );
  } finally {
    clearTimeout(timer);
    // The agent's one connection.
    abort.abort();
  }
}
