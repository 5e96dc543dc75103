/**
 * Splits a command line into words as the real agent does for non-interactive commands (the shlex package of Go):
 * quotes and escapes of a shell, comments, no expansion of any kind.
 */

export type Words = { readonly words: readonly string[] } | { readonly error: string };

/** The words, or the text of what is wrong with the line. */
export function splitWords(line: string): Words {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  const next = (): string | undefined => line[at++];
  for (let character = next(); character !== undefined; character = next()) {
    switch (character) {
      case ' ':
      case '\t':
      case '\r':
      case '\n':
        if (word !== undefined) words.push(word);
        word = undefined;
        break;
      case '\\': {
        const escaped = next();
        if (escaped === undefined) return { error: 'EOF found after escape character' };
        word = (word ?? '') + escaped;
        break;
      }
      case "'":
      case '"': {
        const quoted = readQuoted(line, at, character);
        if ('error' in quoted) return quoted;
        word = (word ?? '') + quoted.text;
        at = quoted.end;
        break;
      }
      case '#':
        if (word === undefined) {
          while (at < line.length && line[at] !== '\n') at += 1;
          break;
        }
        word += character;
        break;
      default:
        word = (word ?? '') + character;
    }
  }
  if (word !== undefined) words.push(word);
  return { words };
}

/** Text up to the closing quote; only double quotes know the backslash. */
function readQuoted(
  line: string,
  start: number,
  quote: string,
): { readonly text: string; readonly end: number } | { readonly error: string } {
  let text = '';
  for (let at = start; at < line.length; at += 1) {
    const character = line[at] ?? '';
    if (character === quote) return { text, end: at + 1 };
    if (character === '\\' && quote === '"') {
      at += 1;
      if (at >= line.length) return { error: 'EOF found after escape character' };
      text += line[at] ?? '';
    } else text += character;
  }
  return { error: 'EOF found when expecting closing quote' };
}
