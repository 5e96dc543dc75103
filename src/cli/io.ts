/** What a command has of the process: its streams and environment. Tests give their own. */
import type { Readable, Writable } from 'node:stream';
import type { Environment } from './option-values.ts';

export interface CliIo {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Environment;
}

/** The process itself. A getter each, since asking for process.stdin already opens it. */
export const processIo: CliIo = {
  get stdin() {
    return process.stdin;
  },
  get stdout() {
    return process.stdout;
  },
  get stderr() {
    return process.stderr;
  },
  env: process.env,
};
