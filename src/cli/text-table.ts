/** Rows of cells as aligned lines. Every cell is made printable: names come from AWS accounts. */
import { printable } from './report.ts';
import stringWidth from './string-width.ts';

/** Between two columns. */
const GAP = '  ';

/** As wide as the longest cell of each column, two spaces between them, one line for each row. */
export function columns(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of cells) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, stringWidth(cell));
    });
  }
  return cells
    .map((row) => row.map((cell, index) => padEnd(cell, widths[index] ?? 0)).join(GAP))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - stringWidth(text)));
}
