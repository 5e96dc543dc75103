/**
 * Target and port as `connect` takes them. The forms are frozen:
 *
 *   target            port 22          fd00::1     an IPv6 address, port 22
 *   target:port                        [fd00::1]   the same
 *   target port                        [fd00::1]:port
 *
 * With a port of its own the target is taken whole (a Name tag may contain a colon). What kind of target it is, is
 * for src/aws to say.
 */
import { isIPv6 } from 'node:net';
import { ProxyError } from '../errors.ts';
import { wholeNumber } from './option-values.ts';

export interface Destination {
  readonly target: string;
  readonly port: number;
}

export const DEFAULT_PORT = 22;

/** Throws USAGE for an empty target and for a port that is not 1 to 65535. */
export function parseDestination(target: string, port: string | undefined): Destination {
  const [, inBrackets, portAfterBrackets] = /^\[([^\]]*)\](?::(.*))?$/.exec(target) ?? [];
  if (inBrackets !== undefined) return destination(inBrackets, port ?? portAfterBrackets);
  // Node compiles a large expression for isIPv6.
  if (port !== undefined || !target.includes(':') || isIPv6(target)) return destination(target, port);
  const [, name, portAfterColon] = /^(.*):(\d*)$/.exec(target) ?? [];
  return name === undefined ? destination(target, undefined) : destination(name, portAfterColon);
}

function destination(target: string, portText: string | undefined): Destination {
  if (target.trim() === '') {
    throw new ProxyError('USAGE', 'the target is empty', { hint: 'ssm-proxy connect <target> [port]' });
  }
  if (portText === undefined) return { target, port: DEFAULT_PORT };
  const port = wholeNumber(portText, 1, 65_535);
  if (port === undefined) {
    throw new ProxyError('USAGE', `${JSON.stringify(portText)} is not a port`, {
      hint: 'give a number from 1 to 65535',
    });
  }
  return { target, port };
}
