/** How a failure of the program looks from outside, taken apart. */
import { ERROR_TABLE } from '../../src/errors.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { ProgramResult } from './programs.ts';

export interface Failure {
  readonly code: string;
  /** The first line without prefix and code. */
  readonly message: string;
  /** The lines after it, without prefix. */
  readonly hint: string;
}

/**
 * Throws unless stdout is empty and stderr is `ssm-proxy: <message> [CODE]` and at least one line with what to do,
 * all with the prefix.
 */
export function failureOf({ stdout, stderr }: ProgramResult): Failure {
  const lines = stderr.split('\n');
  const [, message, code] = /^ssm-proxy: (.+) \[([A-Z_]+)\]$/.exec(lines[0] ?? '') ?? [];
  const rest = lines.slice(1, -1);
  const isPrefixed = rest.length > 0 && rest.every((line) => /^ssm-proxy: ./.test(line));
  if (message === undefined || code === undefined || !isPrefixed || lines.at(-1) !== '') {
    throw new Error(`not the lines of a failure: ${JSON.stringify(stderr)}`);
  }
  if (stdout.length > 0) throw new Error(`stdout of a failure: ${JSON.stringify(stdout.toString('latin1'))}`);
  return { code, message, hint: rest.map((line) => line.slice('ssm-proxy: '.length)).join('\n') };
}

/** Exit status that the table promises. */
export function statusOf(code: ErrorCode): number {
  return ERROR_TABLE[code].exitStatus;
}
