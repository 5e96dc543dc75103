/** The report of `check` as a person reads it: one line for each finding, what to do below it, a summary. */
import type { Finding, Level } from '../check/finding.ts';
import { LEVELS } from '../check/finding.ts';
import { printable } from './report.ts';
import stringWidth from './string-width.ts';

export interface ReportStyle {
  /** Lines are folded to this width; undefined: not at all, for files and pipes. */
  readonly columns: number | undefined;
  readonly hasColour: boolean;
}

const LEVEL_WIDTH = Math.max(...LEVELS.map((level) => level.length));
/** Narrowest column for what a line is about; areas with longer words have a wider one. */
const MIN_WHAT_WIDTH = 14;
const COLOURS: Readonly<Record<Level, number>> = { ok: 32, warning: 33, failed: 31, skipped: 2 };
/** Folded text narrower than this would be a column of syllables. */
const MIN_TEXT_WIDTH = 30;

/** Finished lines with line breaks. */
export function areaText(title: string, findings: readonly Finding[], style: ReportStyle): string {
  const whatWidth = Math.max(MIN_WHAT_WIDTH, ...findings.map(({ what }) => stringWidth(printable(what))));
  const lines = findings.flatMap((finding) => findingLines(finding, whatWidth, style));
  return [title, ...lines].map((line) => `${line}\n`).join('');
}

function findingLines(
  { level, what, seen, fix }: Finding,
  whatWidth: number,
  style: ReportStyle,
): readonly string[] {
  const indent = 2 + LEVEL_WIDTH + 2;
  const textIndent = indent + whatWidth + 2;
  const head = `  ${paint(level.padEnd(LEVEL_WIDTH), COLOURS[level], style)}  ${padEnd(printable(what), whatWidth)}  `;
  const [text = '', ...more] = fold(printable(seen), textIndent, style);
  if (fix === undefined) return [`${head}${text}`, ...more];
  const arrow = `${' '.repeat(indent)}-> `;
  const [advice = '', ...moreAdvice] = fold(printable(fix), arrow.length, style);
  return [`${head}${text}`, ...more, `${arrow}${advice}`, ...moreAdvice];
}

function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - stringWidth(text)));
}

/** Words as lines of the style's width. All begin at column `indent`; the first without it, further ones with it. */
function fold(text: string, indent: number, { columns }: ReportStyle): readonly string[] {
  if (columns === undefined || columns - indent < MIN_TEXT_WIDTH) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line === '' || indent + stringWidth(longer) <= columns) {
      line = longer;
      continue;
    }
    lines.push(line);
    line = word;
  }
  lines.push(line);
  return lines.map((each, index) => (index === 0 ? each : ' '.repeat(indent) + each));
}

/** `2 failed, 1 warning, 14 ok`. */
export function summary(findings: readonly Finding[], style: ReportStyle): string {
  const count = (level: Level): number => findings.filter((finding) => finding.level === level).length;
  const failed = count('failed');
  const parts = (['failed', 'warning', 'skipped', 'ok'] as const)
    .filter((level) => count(level) > 0)
    .map(
      (level) => `${String(count(level))} ${level === 'warning' && count(level) > 1 ? 'warnings' : level}`,
    );
  return `${paint(failed === 0 ? 'Nothing failed' : 'Something failed', failed === 0 ? 32 : 31, style)}: ${parts.join(', ')}.\n`;
}

function paint(text: string, colour: number, { hasColour }: ReportStyle): string {
  return hasColour ? `\x1b[${String(colour)}m${text}\x1b[0m` : text;
}
