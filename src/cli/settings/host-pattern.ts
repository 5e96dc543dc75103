/**
 * Which targets a part of the config file is for: names with `*` and `?`, networks (`10.1.0.0/16`, `fd00::/8`), and
 * either of them after `!` to leave targets out, as in ssh_config. ssh hands over host names in lower case, so case
 * does not count. Pure.
 */
import { BlockList, isIP } from 'node:net';

type Matcher = (target: string) => boolean;

export interface HostPatterns {
  /** True if one of the patterns matches and none of those with `!` does. */
  matches(target: string): boolean;
}

/** Those that cannot be understood: the first one is in `wrong`. */
export function parseHostPatterns(patterns: readonly string[]): HostPatterns | { readonly wrong: string } {
  const wanted: Matcher[] = [];
  const unwanted: Matcher[] = [];
  for (const pattern of patterns) {
    const isUnwanted = pattern.startsWith('!');
    const matcher = parsePattern(isUnwanted ? pattern.slice(1) : pattern);
    if (matcher === undefined) return { wrong: pattern };
    (isUnwanted ? unwanted : wanted).push(matcher);
  }
  return {
    matches: (target) =>
      wanted.some((matches) => matches(target)) && !unwanted.some((matches) => matches(target)),
  };
}

function parsePattern(pattern: string): Matcher | undefined {
  if (pattern === '' || /\s/.test(pattern)) return undefined;
  return pattern.includes('/') ? parseNetwork(pattern) : parseGlob(pattern);
}

function parseNetwork(pattern: string): Matcher | undefined {
  const [, address = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(pattern) ?? [];
  const version = isIP(address);
  if (version === 0 || Number(bits) > (version === 4 ? 32 : 128)) return undefined;
  const network = new BlockList();
  network.addSubnet(address, Number(bits), version === 4 ? 'ipv4' : 'ipv6');
  return (target) => isIP(target) === version && network.check(target, version === 4 ? 'ipv4' : 'ipv6');
}

function parseGlob(pattern: string): Matcher {
  const source = pattern.replace(/[.+^${}()|[\]\\*?]/g, (character) => {
    if (character === '*') return '.*';
    return character === '?' ? '.' : `\\${character}`;
  });
  const expression = new RegExp(`^${source}$`, 'is');
  return (target) => expression.test(target);
}
