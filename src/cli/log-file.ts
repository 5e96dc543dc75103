/**
 * Where the event log goes: nowhere, unless asked. With --log-file it is appended to that file, mode 0600, each
 * line with the process ID, since many connections may share a file; with --log-level alone it goes to stderr.
 */
import { closeSync, constants, fchmodSync, fstatSync, openSync, writeSync } from 'node:fs';
import { systemClock } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import { createLog, silentLog } from '../log.ts';
import type { Log, LogLevel } from '../log.ts';
import type { CliIo } from './io.ts';

export interface LogRequest {
  readonly logLevel: LogLevel | undefined;
  readonly logFile: string | undefined;
}

export interface OpenLog extends Log {
  /** Later events are dropped. Idempotent. */
  close(): void;
}

const DEFAULT_FILE_LEVEL: LogLevel = 'info';
const PRIVATE = 0o600;

/** Throws USAGE when the file cannot be opened. */
export function openLog(request: LogRequest, io: CliIo): OpenLog {
  if (request.logFile !== undefined)
    return openFileLog(request.logFile, request.logLevel ?? DEFAULT_FILE_LEVEL);
  if (request.logLevel === undefined) return withClose(silentLog, () => {});
  const write = (line: string): void => void io.stderr.write(`${line}\n`);
  return withClose(
    createLog(request.logLevel, write, () => systemClock.wallNow()),
    () => {},
  );
}

function openFileLog(path: string, level: LogLevel): OpenLog {
  let descriptor: number | undefined = openPrivately(path);
  const write = (line: string): void => {
    if (descriptor === undefined) return;
    try {
      writeSync(descriptor, `${line} pid=${process.pid}\n`);
    } catch {
      // A full disk must not end a session; the log is given up.
      close();
    }
  };
  const close = (): void => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  };
  return withClose(
    createLog(level, write, () => systemClock.wallNow()),
    close,
  );
}

function openPrivately(path: string): number {
  try {
    const { O_WRONLY, O_APPEND, O_CREAT } = constants;
    const descriptor = openSync(path, O_WRONLY | O_APPEND | O_CREAT, PRIVATE);
    const info = fstatSync(descriptor);
    // A file of an earlier day may be open to others; devices such as /dev/null are left as they are.
    if (info.isFile() && info.uid === process.getuid?.() && (info.mode & 0o077) !== 0)
      fchmodSync(descriptor, PRIVATE);
    return descriptor;
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new ProxyError('USAGE', `the log file ${path} cannot be opened: ${cause}`, {
      hint: 'give a file that you may write with --log-file',
      cause: error,
    });
  }
}

function withClose(log: Log, close: () => void): OpenLog {
  return { ...log, close };
}
