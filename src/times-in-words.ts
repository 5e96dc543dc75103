/** Times as people say them. */

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
] as const;

/** `3 minutes`, in the largest unit that fits, rounded down. */
export function lasting(ms: number): string {
  const [unit, unitMs] = UNITS.find(([, size]) => ms >= size) ?? ['second', 1_000];
  const count = Math.floor(ms / unitMs);
  return `${String(count)} ${unit}${count === 1 ? '' : 's'}`;
}

/** `in 3 minutes` or `3 minutes ago`. */
export function inTime(ms: number): string {
  return ms >= 0 ? `in ${lasting(ms)}` : `${lasting(-ms)} ago`;
}

/** `23 ms`, `1.4 s`. */
export function brief(ms: number): string {
  return ms < 1_000 ? `${String(Math.round(ms))} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
