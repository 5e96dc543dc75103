/** A "browser" for logins: a program that opens the page it is given, follows redirects, and says where it was. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface TestBrowser {
  /** Value of BROWSER. */
  readonly command: string;
  /** Pages that were opened, in order. */
  visited(): readonly string[];
}

/** Writes the program below the directory. */
export function createBrowser(directory: string): TestBrowser {
  const history = join(directory, 'visited');
  const program = join(directory, 'browser.mjs');
  writeFileSync(
    program,
    `import { appendFileSync } from 'node:fs';
const url = process.argv[2];
appendFileSync(${JSON.stringify(history)}, url + '\\n');
await fetch(url);
`,
  );
  return {
    command: `${process.execPath} ${program}`,
    visited: () => (existsSync(history) ? readFileSync(history, 'utf8').trim().split('\n') : []),
  };
}
