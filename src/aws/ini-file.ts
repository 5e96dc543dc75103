/**
 * The AWS config and credentials files: text to sections. Same reading as the SDKs, so that what we say about a
 * profile is what the SDK's credential chain will find in it:
 *
 * - `#` and `;` start a comment at the start of a line or after white space;
 * - a key without a value opens a nested block, whose indented lines become `key.subkey`;
 * - lines that are none of these are skipped;
 * - a section named twice is one section, a key named twice has its last value.
 */

export type IniSection = Readonly<Record<string, string>>;
/** By the text between the brackets with its white space collapsed and quotes removed: `profile dev`. */
export type IniSections = ReadonlyMap<string, IniSection>;

export function parseIni(text: string): IniSections {
  const sections = new Map<string, Record<string, string>>();
  let section: Record<string, string> | undefined;
  let outerKey: string | undefined;
  for (const line of text.split(/\r?\n/)) {
    const content = withoutComment(line);
    if (content === '') continue;
    const name = sectionName(line);
    if (name !== undefined) {
      // No prototype: a key may be called anything, `__proto__` included.
      section = sections.get(name) ?? (Object.create(null) as Record<string, string>);
      sections.set(name, section);
      outerKey = undefined;
      continue;
    }
    const equals = content.indexOf('=');
    if (section === undefined || equals < 1) continue;
    const key = content.slice(0, equals).trim();
    const value = content.slice(equals + 1).trim();
    if (!/^\s/.test(line)) outerKey = undefined;
    if (value === '') outerKey = key;
    else section[outerKey === undefined ? key : `${outerKey}.${key}`] = value;
  }
  return sections;
}

/** The section that a line opens, by its normal name; undefined for other lines. */
export function sectionName(line: string): string | undefined {
  const content = withoutComment(line);
  const isHeader = content.startsWith('[') && content.endsWith(']');
  return isHeader ? normaliseName(content.slice(1, -1)) : undefined;
}

function withoutComment(line: string): string {
  return (line.split(/(?:^|\s)[;#]/, 1)[0] ?? '').trim();
}

/** `profile "my dev"` and `profile   my dev` name the same section as `profile my dev`. */
function normaliseName(name: string): string {
  const match = /^\s*([\w-]+)\s+(["']?)(.*?)\2\s*$/.exec(name);
  return match === null ? name.trim() : `${match[1] ?? ''} ${match[3] ?? ''}`;
}
