/**
 * The flight recorder's ring as a file: after an abnormal end, and whenever the process gets SIGUSR1. A session never
 * fails because of it: where no file can be written there is none.
 */
import type { ErrorCode } from '../errors.ts';
import { ProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { FlightRecorder } from '../session/flight-recorder.ts';
import type { Environment } from './option-values.ts';
import { within } from './within.ts';

/** Files kept in the folder; the oldest go first. */
export const KEPT_FILES = 20;
/** Longest wait for a slow disk when the process is about to end. Milliseconds. */
const WRITE_LIMIT_MS = 300;
const FOLDER = 'flight-records';
/** Time first, so that names sort by age. */
const FILE_NAME = /^\d{8}T\d{9}Z-\d+\.log$/;

/** Errors that speak for themselves: mistakes of the user, the account or the target. */
const PLAIN_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'USAGE',
  'CONFIG_INVALID',
  'REGION_MISSING',
  'PROFILE_NOT_FOUND',
  'CREDENTIALS_MISSING',
  'CREDENTIALS_EXPIRED',
  'CREDENTIALS_INVALID',
  'ACCESS_DENIED',
  'TARGET_INVALID',
  'TARGET_NOT_FOUND',
  'TARGET_AMBIGUOUS',
  'TARGET_STOPPED',
  'TARGET_TERMINATED',
  'TARGET_NOT_CONNECTED',
  'DOCUMENT_INVALID',
  'CANCELLED',
]);

export class FlightFile {
  readonly #recorder: FlightRecorder;
  readonly #env: Environment;
  readonly #log: Log;
  readonly #wallClock: () => number;
  readonly #onSignal = (): void => void this.write();

  /** `wallClock`: ms since the epoch. */
  constructor(recorder: FlightRecorder, env: Environment, log: Log, wallClock: () => number) {
    this.#recorder = recorder;
    this.#env = env;
    this.#log = log;
    this.#wallClock = wallClock;
  }

  /** From now on SIGUSR1 writes the file, and does not start Node's debugger. */
  start(): void {
    process.on('SIGUSR1', this.#onSignal);
  }

  /** The path; undefined when it could not be written. */
  async write(): Promise<string | undefined> {
    const lines = this.#recorder.lines();
    const time = new Date(this.#wallClock()).toISOString().replace(/[-:.]/g, '');
    try {
      const { openStateFolder, removeStateFiles, writeStateFile } = await import('./state-directory.ts');
      const directory = await openStateFolder(this.#env, FOLDER);
      await removeStateFiles(directory, FILE_NAME, KEPT_FILES - 1);
      const path = await writeStateFile(directory, `${time}-${process.pid}.log`, `${lines.join('\n')}\n`);
      this.#log.info('flight_record_written', { path });
      return path;
    } catch (error) {
      this.#log.warn('flight_record_not_written', { reason: error instanceof Error ? error.message : '' });
      return undefined;
    }
  }

  /**
   * The error with the file's path in its hint, for an end that needs explaining; others unchanged. `hasSession`:
   * StartSession has answered; before that only the program's own trouble is worth a file.
   */
  async explain(error: ProxyError, hasSession: boolean): Promise<ProxyError> {
    if (PLAIN_CODES.has(error.code)) return error;
    if (!hasSession && error.code !== 'INTERNAL' && error.code !== 'CONNECT_TIMEOUT') return error;
    const path = await within(WRITE_LIMIT_MS, this.write());
    if (path === undefined) return error;
    const details = `details: ${path}`;
    const explained = new ProxyError(error.code, error.message, {
      hint: error.hint === undefined ? details : `${error.hint}; ${details}`,
      cause: error.cause,
      exitStatus: error.exitStatus,
    });
    // Where it went wrong, not where it was reworded.
    if (error.stack !== undefined) explained.stack = error.stack;
    return explained;
  }
}
