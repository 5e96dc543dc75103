/** What a process holds: memory after a collection, handles, file descriptors, temporary files; and whether it grows. */
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';

export interface ResourceSample {
  readonly rssMegabytes: number;
  /** After a collection when node runs with --expose-gc. */
  readonly heapMegabytes: number;
  readonly bufferMegabytes: number;
  /** Timers, sockets, requests: what process.getActiveResourcesInfo counts. */
  readonly handles: number;
  readonly kinds: Readonly<Record<string, number>>;
  readonly fileDescriptors: number;
  /** Of ours in the temporary folder. */
  readonly temporaryFiles: number;
}

export function takeSample(): ResourceSample {
  globalThis.gc?.();
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  const kinds: Record<string, number> = {};
  const active = process.getActiveResourcesInfo();
  for (const kind of active) kinds[kind] = (kinds[kind] ?? 0) + 1;
  return {
    rssMegabytes: megabytes(rss),
    heapMegabytes: megabytes(heapUsed),
    bufferMegabytes: megabytes(arrayBuffers),
    handles: active.length,
    kinds,
    fileDescriptors: countEntries('/proc/self/fd', () => true),
    temporaryFiles: countEntries(tmpdir(), (name) => name.startsWith(`ssm-proxy-${process.pid}`)),
  };
}

/** How much more the last third may hold than the first third, by median. */
const BOUNDS: readonly { name: keyof ResourceSample; factor: number; slack: number }[] = [
  { name: 'rssMegabytes', factor: 1.2, slack: 25 },
  { name: 'heapMegabytes', factor: 1.1, slack: 4 },
  { name: 'bufferMegabytes', factor: 1.5, slack: 8 },
  { name: 'handles', factor: 1.5, slack: 10 },
  { name: 'fileDescriptors', factor: 1.5, slack: 10 },
  { name: 'temporaryFiles', factor: 1, slack: 0 },
];

/** One line for each resource that grew. Samples after warm-up; fewer than six say nothing. */
export function growth(samples: readonly ResourceSample[]): string[] {
  const third = Math.floor(samples.length / 3);
  if (third < 2) return [];
  return BOUNDS.flatMap(({ name, factor, slack }) => {
    const first = median(samples.slice(0, third).map((sample) => Number(sample[name])));
    const last = median(samples.slice(-third).map((sample) => Number(sample[name])));
    return last > first * factor + slack ? [`${name} grew from ${first} to ${last}`] : [];
  });
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? NaN) + high) / 2;
}

function countEntries(directory: string, wanted: (name: string) => boolean): number {
  try {
    return readdirSync(directory).filter(wanted).length;
  } catch {
    return 0;
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e5) / 10;
}
