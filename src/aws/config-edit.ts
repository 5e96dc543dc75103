/**
 * Changes sections of an AWS config file as a careful person would in an editor: keys that have a new value change on
 * their own line, new keys follow the section's last one, new sections stand at the end. Comments, order, white space,
 * line ends and keys that we do not know stay as they are. Pure; reading and section names as in ini-file.ts.
 */
import { sectionName } from './ini-file.ts';

/** A key's new value; null takes the key out. */
export type SectionChange = Readonly<Record<string, string | null>>;

interface Extent {
  /** Line of the header. */
  readonly start: number;
  /** Line after the last one of the section. */
  readonly end: number;
}

/** `name` as ini-file.ts has it: `profile dev`, `default`. A change without values makes no section. */
export function changeSection(text: string, name: string, change: SectionChange): string {
  const lineEnd = /\r\n/.test(text) ? '\r\n' : '\n';
  const lines = text.split(/\r?\n/);
  const extents = findSections(lines, name);
  const pending = new Map(Object.entries(change));
  // The last line of a key counts, so it is changed wherever it stands.
  for (const extent of extents) changeKeys(lines, extent, change, pending);
  const added = [...pending].flatMap(([key, value]) => (value === null ? [] : [`${key} = ${value}`]));
  const last = findSections(lines, name).at(-1);
  if (last !== undefined) lines.splice(lastContentLine(lines, last) + 1, 0, ...added);
  else if (added.length > 0) appendSection(lines, name, added);
  return lines.join(lineEnd);
}

function findSections(lines: readonly string[], name: string): readonly Extent[] {
  const starts = lines.flatMap((line, index) => (sectionName(line) === undefined ? [] : [index]));
  return starts
    .filter((start) => sectionName(lines[start] ?? '') === name)
    .map((start) => ({ start, end: starts.find((other) => other > start) ?? lines.length }));
}

/** Takes the keys that it finds out of `pending`. */
function changeKeys(
  lines: string[],
  { start, end }: Extent,
  change: SectionChange,
  pending: Map<string, string | null>,
): void {
  for (let index = end - 1; index > start; index -= 1) {
    const line = lines[index] ?? '';
    // Indented lines belong to a block of another key.
    const [, key = '', equals = ''] = /^([^\s=#;[][^=]*?)(\s*=[^\S\r\n]*)/.exec(line) ?? [];
    const value = Object.hasOwn(change, key) ? change[key] : undefined;
    if (value === undefined) continue;
    pending.delete(key);
    if (value === null) lines.splice(index, 1 + nestedLines(lines, index));
    else lines[index] = `${key}${equals}${value}${commentOf(line)}`;
  }
}

/** Comment at the end of a line, with the white space before it. */
function commentOf(line: string): string {
  return /\s+[#;].*$/.exec(line)?.[0] ?? '';
}

/** Indented lines below a key without a value. */
function nestedLines(lines: readonly string[], index: number): number {
  if (!/=\s*$/.test(lines[index] ?? '')) return 0;
  let count = 0;
  while (/^\s+\S/.test(lines[index + 1 + count] ?? '')) count += 1;
  return count;
}

/** The last line of a section that is neither empty nor a comment: those often belong to what follows. */
function lastContentLine(lines: readonly string[], { start, end }: Extent): number {
  for (let index = end - 1; index > start; index -= 1) {
    if (!/^\s*([#;]|$)/.test(lines[index] ?? '')) return index;
  }
  return start;
}

function appendSection(lines: string[], name: string, keys: readonly string[]): void {
  while (lines.length > 0 && (lines.at(-1) ?? '').trim() === '') lines.pop();
  if (lines.length > 0) lines.push('');
  // Names with a space need the quotes, as the AWS CLI writes them.
  const [kind = '', ...rest] = name.split(' ');
  const given = rest.join(' ');
  const header = given === '' ? kind : `${kind} ${/\s/.test(given) ? `'${given}'` : given}`;
  lines.push(`[${header}]`, ...keys, '');
}
