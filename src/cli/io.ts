/** What a command has of the process: its streams and environment. Tests give their own. */
import type { Readable, Writable } from 'node:stream';
import type { CrashGuard } from './crash-guard.ts';
import { limitEnd } from './end-process.ts';
import type { Environment } from './option-values.ts';

export interface CliIo {
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Environment;
  /** Tells of errors that nobody caught. */
  readonly crashGuard?: CrashGuard | undefined;
  /** To be called when something outside ends the command: the process then has 2 s to be gone. */
  readonly onEnding?: (exitStatus: number) => void;
}

/** The process itself. A getter each, since asking for process.stdin already opens it. */
export function processIo(crashGuard: CrashGuard): CliIo {
  return {
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
    crashGuard,
    onEnding: limitEnd,
  };
}
