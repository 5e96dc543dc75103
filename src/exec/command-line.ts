/**
 * From the words of a command to the text that a session document takes.
 *
 * One word is a command line for the shell of the node, as with ssh; several words are a program and its arguments,
 * exactly as they are, blanks and quotes and all. The agent splits the text of a non-interactive command into words
 * itself, by the quotes of a shell but without one, and gives that of an interactive command to `sh -c`: the quotes
 * below mean the same to both.
 */

/** Program and arguments: one word stands for a line of the shell. */
export function argvOf(words: readonly string[]): readonly string[] {
  const [only, ...more] = words;
  return only !== undefined && more.length === 0 ? ['sh', '-c', only] : words;
}

export function quoteWords(words: readonly string[]): string {
  return words.map(quoteWord).join(' ');
}

const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

function quoteWord(word: string): string {
  if (PLAIN.test(word)) return word;
  // Between two braces the quotes are closed and opened again: documents take {{ for the start of a parameter.
  return `'${word.replaceAll("'", `'"'"'`).replace(/\{(?=\{)/g, "{''")}'`;
}
