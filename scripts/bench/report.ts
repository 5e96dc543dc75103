/** Results of `npm run bench`: a table for people, JSON for programs. Results of other groups in the file stay. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform } from 'node:os';
import { dirname } from 'node:path';
import type { BenchGroup, Figure, Goal } from './figure.ts';
import { meetsGoal } from './figure.ts';

interface GroupReport {
  readonly date: string;
  /** Of the source; `+` after it: with changes that are not in it. Empty outside a repository. */
  readonly commit: string;
  readonly node: string;
  readonly machine: string;
  readonly scale: number;
  readonly figures: readonly (Figure & { readonly met: boolean | undefined })[];
}

type Report = Readonly<Record<string, GroupReport>>;

export function describeMachine(): string {
  return `${platform()} ${arch()}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`;
}

export function describeCommit(): string {
  const git = (...args: string[]): string => {
    const { status, stdout } = spawnSync('git', args, { encoding: 'utf8' });
    return status === 0 ? stdout.trim() : '';
  };
  return git('rev-parse', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+');
}

/** Markdown, as docs/performance.md has it. */
export function table(group: BenchGroup, figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    figure.value === undefined ? '-' : `${rounded(figure.value)} ${figure.unit}`,
    figure.goal === undefined ? '' : goalText(figure.goal),
    { true: 'yes', false: 'no', undefined: '' }[String(meetsGoal(figure))] ?? '',
    figure.note ?? '',
  ]);
  const lines = [
    ['figure', 'measured', 'goal', 'met', 'made of'],
    Array.from({ length: 5 }, () => '---'),
    ...rows,
  ];
  return `${group.about}\n\n${lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('')}`;
}

/** Adds the group's results to the file, which is made if it is not there. */
export function record(file: string, group: BenchGroup, figures: readonly Figure[], scale: number): void {
  mkdirSync(dirname(file), { recursive: true });
  const own: GroupReport = {
    date: new Date().toISOString(),
    commit: describeCommit(),
    node: process.version,
    machine: describeMachine(),
    scale,
    figures: figures.map((figure) => ({ ...figure, met: meetsGoal(figure) })),
  };
  writeFileSync(file, `${JSON.stringify({ ...earlier(file), [group.name]: own }, undefined, 2)}\n`);
}

function earlier(file: string): Report {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return {};
  }
}

function goalText({ atMost, atLeast }: Goal): string {
  return [atLeast === undefined ? '' : `>= ${atLeast}`, atMost === undefined ? '' : `<= ${atMost}`]
    .join('')
    .trim();
}

/** Three digits that count. */
export function rounded(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return String(Number(value.toPrecision(3)));
}
