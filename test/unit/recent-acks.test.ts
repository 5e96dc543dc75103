/** Which acknowledgements are sent again over a new link. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REPEATED_ACKS, REPEATED_ACKS_MS } from '../../src/protocol/limits.ts';
import { RecentAcks } from '../../src/protocol/recent-acks.ts';

/** Acknowledgement `n` was sent at `times[n]`; returns which are taken. */
function taken(times: readonly number[], roundTripMs: number): number[] {
  const acks = new RecentAcks();
  times.forEach((at, n) => acks.add(Buffer.from(String(n)), at));
  return acks.takeNewest(roundTripMs).map((encoded) => Number(encoded.toString()));
}

const rows: readonly { name: string; times: readonly number[]; roundTripMs: number; expected: number[] }[] = [
  { name: 'nothing was ever acknowledged', times: [], roundTripMs: 100, expected: [] },
  { name: 'one, however long ago', times: [5], roundTripMs: 0, expected: [0] },
  {
    name: 'those shortly before the newest, in order',
    times: [0, 1000, 1000 + REPEATED_ACKS_MS],
    roundTripMs: 0,
    expected: [1, 2],
  },
  {
    name: 'more of them on a long way',
    times: [0, 900, 1000 + REPEATED_ACKS_MS],
    roundTripMs: 50,
    expected: [1, 2],
  },
  { name: 'two round trips further back, none', times: [0, 1000], roundTripMs: 300, expected: [1] },
];

for (const { name, times, roundTripMs, expected } of rows) {
  test(name, () => assert.deepEqual(taken(times, roundTripMs), expected));
}

test('no more than the bound, the newest of them in order', () => {
  const count = REPEATED_ACKS + 7;
  const all = Array.from({ length: count }, (_, n) => n);
  assert.deepEqual(
    taken(
      all.map(() => 1),
      0,
    ),
    all.slice(7),
  );
});
