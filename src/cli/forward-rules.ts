/**
 * What -L and -D say: where to listen, and what is reached. The forms of ssh, where the host may be left out (the
 * node itself) and the place to listen may be a Unix socket:
 *
 *   [bind:]port:hostport        [bind:]port:host:hostport        path:hostport        path:host:hostport
 *
 * Addresses of IPv6 stand in brackets. Port 0 finds one that is free. The path of a socket has a slash or ends with
 * .sock, so that a host without a port is no path.
 */
import { ProxyError } from '../errors.ts';
import type { ForwardDestination, ForwardRule } from '../forward/forwarder.ts';
import { isNode } from '../forward/forwarder.ts';
import { DEFAULT_BIND } from '../forward/listener.ts';
import type { ListenAddress } from '../forward/listener.ts';
import { wholeNumber } from './option-values.ts';

const MAX_PORT = 65_535;
const DIGITS = /^\d+$/;

/** Throws USAGE. */
export function parseLocalForward(text: string): ForwardRule {
  const parts = splitColons(text);
  const unusable = (why: string): ProxyError =>
    new ProxyError('USAGE', `-L ${JSON.stringify(text)} cannot be used: ${why}`, {
      hint: 'give [bind:]port:[host:]hostport or socket:[host:]hostport, such as 8080:80 or 5432:db.internal:5432',
    });
  if (parts === undefined) throw unusable('brackets are for one IPv6 address each');
  const [first = '', second = ''] = parts;
  const hasBind =
    parts.length === 4 ||
    (parts.length === 3 && !DIGITS.test(first) && DIGITS.test(second) && !isPath(first));
  const to = parts.slice(hasBind ? 2 : 1);
  const [hostPort = ''] = to.slice(-1);
  const host = to.length === 2 ? to[0] : undefined;
  if (parts.length > 4 || to.length < 1 || to.length > 2) throw unusable('it has too few or too many parts');
  if (host === '') throw unusable('the host is empty');
  const port = wholeNumber(hostPort, 1, MAX_PORT);
  if (port === undefined) throw unusable(`${JSON.stringify(hostPort)} is no port`);
  return {
    kind: 'local',
    listen: listenAddress(first, second, hasBind, unusable),
    to: destination(host, port),
  };
}

/** Throws USAGE. */
export function parseDynamicForward(text: string): ForwardRule {
  const unusable = (why: string): ProxyError =>
    new ProxyError('USAGE', `-D ${JSON.stringify(text)} cannot be used: ${why}`, {
      hint: 'give [bind:]port, such as 1080',
    });
  const parts = splitColons(text);
  const [first = '', second = ''] = parts ?? [];
  if (parts === undefined || parts.length > 2) throw unusable('it has too many parts');
  const hasBind = parts.length === 2;
  if (!hasBind && !DIGITS.test(first)) throw unusable(`${JSON.stringify(first)} is no port`);
  return { kind: 'socks', listen: listenAddress(first, second, hasBind, unusable) };
}

function listenAddress(
  first: string,
  second: string,
  hasBind: boolean,
  unusable: (why: string) => ProxyError,
): ListenAddress {
  if (!hasBind && !DIGITS.test(first)) {
    if (!isPath(first)) throw unusable(`${JSON.stringify(first)} is neither a port nor a socket`);
    return { kind: 'unix', path: first };
  }
  const text = hasBind ? second : first;
  const port = wholeNumber(text, 0, MAX_PORT);
  if (port === undefined) throw unusable(`${JSON.stringify(text)} is no port`);
  // As with ssh: an empty bind address is all of them.
  return { kind: 'tcp', host: hasBind ? first || '*' : DEFAULT_BIND, port };
}

function destination(host: string | undefined, port: number): ForwardDestination {
  return { host: host === undefined || isNode(host) ? undefined : host, port };
}

function isPath(text: string): boolean {
  return text.includes('/') || text.endsWith('.sock');
}

/** The parts between colons; brackets keep those of an IPv6 address together. Undefined: brackets do not match. */
function splitColons(text: string): readonly string[] | undefined {
  const parts: string[] = [];
  for (const piece of text.match(/\[[^\]]*\]|[^:[\]]+|:/g) ?? []) parts.push(piece);
  if (parts.join('') !== text) return undefined;
  const fields: string[] = [''];
  for (const piece of parts) {
    if (piece === ':') fields.push('');
    else if (fields.at(-1) !== '') return undefined;
    else fields[fields.length - 1] = piece.replace(/^\[(.*)\]$/, '$1');
  }
  return fields;
}
