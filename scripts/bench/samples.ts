/**
 * Fair comparison on a machine that others use too: contenders take turns (A B C, A B C, ...), each round is compared
 * within itself, and the median of the rounds counts.
 */
import { median } from '../measure/resources.ts';

/** One series of values per contender, in the order of the rounds. */
export async function takeTurns<Sample>(
  rounds: number,
  contenders: Readonly<Record<string, () => Promise<Sample>>>,
): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const series = new Map(Object.keys(contenders).map((name) => [name, [] as Sample[]]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, run] of Object.entries(contenders)) series.get(name)?.push(await run());
  }
  return series;
}

/** Median over the rounds of `of` / `over`, both of the same round. */
export function pairedRatio(of: readonly number[], over: readonly number[]): number {
  return median(of.map((value, round) => value / (over[round] ?? NaN)));
}

/** `of` less `over`, round by round. */
export function pairedDifferences(of: readonly number[], over: readonly number[]): readonly number[] {
  return of.map((value, round) => value - (over[round] ?? NaN));
}

/** The smallest value that so many percent are not above. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? NaN;
}

/** `43.1 ms (41.0 to 52.3)`: median and range. */
export function spread(values: readonly number[], unit: string): string {
  const text = (value: number): string => value.toFixed(1);
  return `${text(median(values))} ${unit} (${text(Math.min(...values))} to ${text(Math.max(...values))})`;
}
