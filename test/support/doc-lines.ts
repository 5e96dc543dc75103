/** Command lines in the shell blocks of a Markdown page. */

export interface ShellLine {
  /** As it stands, without its comment. */
  readonly line: string;
  /** Of its first command, without quotes, up to a redirection or a pipe. */
  readonly words: readonly string[];
}

export function shellLines(page: string): readonly ShellLine[] {
  const blocks = [...page.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, text = '']) =>
    text.replace(/\\\n\s*/g, ''),
  );
  return blocks
    .flatMap((text) => text.split('\n'))
    .map((line) => line.replace(/(^|\s)#\s.*$/, '').trim())
    .filter((line) => line !== '')
    .map((line) => ({ line, words: wordsOf(line) }));
}

function wordsOf(line: string): readonly string[] {
  const words: string[] = [];
  for (const [word] of line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)) {
    if (/^(?:\d?[<>]|[|&;])/.test(word)) break;
    words.push(word.replace(/["']/g, ''));
  }
  return words;
}
