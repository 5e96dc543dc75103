/**
 * What a benchmark reports. A group answers one question with a few figures; each is a ratio or a size from one run,
 * made beside what it is compared with, so that the speed of the machine does not matter.
 */

export interface Goal {
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Figure {
  /** What was measured, in words. */
  readonly name: string;
  /** Median. Undefined when it could not be had here: `note` says why. */
  readonly value: number | undefined;
  /** `x` for ratios, `ms`, `MiB`, `MB/s`, `round trips`. */
  readonly unit: string;
  readonly goal?: Goal;
  /** What it is made of: absolute values, the spread, why it is missing. */
  readonly note?: string;
}

export interface BenchOptions {
  /** Factor for the number of rounds and for the bytes: 1 is what docs/performance.md shows. */
  readonly scale: number;
}

export interface BenchGroup {
  /** As given to `npm run bench -- <name>`. */
  readonly name: string;
  /** The question, for the table's title. */
  readonly about: string;
  run(options: BenchOptions): Promise<readonly Figure[]>;
}

/** Undefined when there is no goal, or nothing to compare with it. */
export function meetsGoal({ value, goal }: Figure): boolean | undefined {
  if (goal === undefined || value === undefined) return undefined;
  return value <= (goal.atMost ?? Infinity) && value >= (goal.atLeast ?? -Infinity);
}
