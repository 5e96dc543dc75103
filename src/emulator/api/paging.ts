/** Pages of a list: an opaque NextToken that only this service understands. */
import type { Refusal } from './refusal.ts';

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextToken: string | undefined;
}

const PREFIX = 'page-';

/** `size` items from where `token` says. Throws what `invalidToken` makes when the token is not one of ours. */
export function pageOf<T>(
  all: readonly T[],
  size: number,
  token: string | undefined,
  invalidToken: () => Refusal,
): Page<T> {
  const start = token === undefined || token === '' ? 0 : readToken(token);
  if (start === undefined) throw invalidToken();
  const end = start + size;
  return { items: all.slice(start, end), nextToken: end < all.length ? writeToken(end) : undefined };
}

function writeToken(offset: number): string {
  // Standard base64 with '=' at its end: clients must pass it on unchanged.
  return Buffer.from(`${PREFIX}${offset}`.padEnd(17, ' '), 'latin1').toString('base64');
}

function readToken(token: string): number | undefined {
  const text = Buffer.from(token, 'base64').toString('latin1').trim();
  return /^page-\d{1,9}$/.test(text) ? Number(text.slice(PREFIX.length)) : undefined;
}
