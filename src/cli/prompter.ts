/**
 * Questions to a person, one line each: asked on stderr, answered on stdin. Answers that come before their question
 * (a pipe, a fast typist) are kept for it.
 */
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import { ProxyError } from '../errors.ts';
import type { CliIo } from './io.ts';
import { printable } from './report.ts';

export interface Question {
  readonly text: string;
  /** Taken for an empty answer; shown in brackets. */
  readonly preset?: string | undefined;
  /** What is wrong with an answer; undefined: nothing. */
  readonly check?: (answer: string) => string | undefined;
}

/** More empty or wrong answers than this are no person. */
const MAX_TRIES = 20;

export class Prompter {
  readonly #stderr: CliIo['stderr'];
  readonly #lines: Interface;
  readonly #early: string[] = [];
  #waiting: ((line: string | undefined) => void) | undefined;
  #isOver = false;

  constructor({ stdin, stderr }: Pick<CliIo, 'stdin' | 'stderr'>) {
    this.#stderr = stderr;
    // No `output`: a terminal shows what is typed by itself, and line editing stays the terminal's.
    this.#lines = createInterface({ input: stdin, terminal: false });
    this.#lines.on('line', (line) => {
      if (this.#waiting === undefined) this.#early.push(line);
      else this.#waiting(line);
    });
    this.#lines.on('close', () => {
      this.#isOver = true;
      this.#waiting?.(undefined);
    });
  }

  /** The answer, trimmed and checked. USAGE at the end of stdin. */
  async ask({ text, preset, check }: Question): Promise<string> {
    const shown = preset === undefined || preset === '' ? text : `${text} [${preset}]`;
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      this.#stderr.write(`${printable(shown)}: `);
      const line = await this.#line();
      if (line === undefined) {
        this.#stderr.write('\n');
        break;
      }
      const answer = line.trim() === '' ? (preset ?? '') : line.trim();
      const problem = check?.(answer);
      if (problem === undefined) return answer;
      this.say(problem);
    }
    throw new ProxyError('USAGE', `no answer to the question: ${text}`, {
      hint: 'run it in a terminal, where somebody can answer',
    });
  }

  /** One of a list, by number or by name; the only one without asking. */
  async choose<T>(
    text: string,
    items: readonly T[],
    describe: (item: T) => readonly [name: string, about: string],
  ): Promise<T> {
    const [only, second] = items;
    if (only !== undefined && second === undefined) {
      this.say(`${text}: ${describe(only).join('  ')}`);
      return only;
    }
    this.say('');
    items.forEach((item, index) =>
      this.say(`${String(index + 1).padStart(4)}  ${describe(item).join('  ')}`),
    );
    const find = (answer: string): T | undefined =>
      items.find((item) => describe(item)[0] === answer) ??
      (/^\d{1,6}$/.test(answer) ? items[Number(answer) - 1] : undefined);
    const check = (answer: string): string | undefined =>
      find(answer) === undefined
        ? `a number from 1 to ${String(items.length)}, or a name from the list`
        : undefined;
    const found = find(await this.ask({ text, check }));
    if (found === undefined) throw new ProxyError('INTERNAL', 'a checked answer is not in the list');
    return found;
  }

  /** Only a clear yes is one. */
  async confirm(text: string): Promise<boolean> {
    return /^y(es)?$/i.test(await this.ask({ text: `${text} [y/N]` }));
  }

  say(text: string): void {
    this.#stderr.write(`${printable(text)}\n`);
  }

  close(): void {
    this.#lines.close();
  }

  #line(): Promise<string | undefined> {
    const early = this.#early.shift();
    if (early !== undefined || this.#isOver) return Promise.resolve(early);
    return new Promise((resolve) => {
      this.#waiting = (line) => {
        this.#waiting = undefined;
        resolve(line);
      };
    });
  }
}
