/**
 * The one line by which the user's ssh_config takes in a file of ours. It goes to the top: further down it could stand
 * inside a Host block, where it would hold for that host only. Pure; the rest of the text stays as it is, byte for byte.
 */

const COMMENT = '# Added by "ssm-proxy ssh-config --write"; "ssm-proxy ssh-config --remove" takes it away.';

/** The same text when the line is there already. `path` as ssh is to read it. */
export function withInclude(text: string | undefined, path: string): string {
  if (text === undefined || text === '') return `${COMMENT}\n${includeLine(path)}\n`;
  if (linesOf(text).some((line) => isInclude(line, path))) return text;
  const lineBreak = text.includes('\r\n') ? '\r\n' : '\n';
  return [COMMENT, includeLine(path), '', text].join(lineBreak);
}

/** Undefined when nothing else is left. The same text when there is no such line. */
export function withoutInclude(text: string, path: string): string | undefined {
  const lines = linesOf(text);
  const at = lines.findIndex((line) => isInclude(line, path));
  if (at < 0) return text;
  const from = lines[at - 1]?.trim() === COMMENT ? at - 1 : at;
  // The empty line that came with it.
  const to = from < at && lines[at + 1]?.trim() === '' ? at + 2 : at + 1;
  const rest = [...lines.slice(0, from), ...lines.slice(to)].join('');
  return rest === '' ? undefined : rest;
}

function includeLine(path: string): string {
  return `Include ${/\s/.test(path) ? `"${path}"` : path}`;
}

function isInclude(line: string, path: string): boolean {
  const [, value = ''] = /^\s*include(?:\s*=\s*|\s+)(.*?)\s*$/i.exec(line) ?? [];
  return value === path || value === `"${path}"`;
}

/** With their line breaks. */
function linesOf(text: string): readonly string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}
