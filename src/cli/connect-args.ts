/**
 * Arguments of `ssm-proxy connect`, and the quick way to them: ssh starts this program for every connection, so the
 * usual lines are understood without loading yargs. The grammar is frozen (see options.ts and destination.ts);
 * options may stand anywhere, also before the word `connect`.
 */
import type { LogLevel } from '../log.ts';
import { PING_INTERVAL_MS, RENEW_AFTER_MS, RESUME_TIMEOUT_MS } from '../session/times.ts';
import type { TargetRequest } from '../find-target.ts';
import { parseDestination } from './destination.ts';
import { OptionReader } from './option-values.ts';
import type { ConfiguredValues, Environment, Pace } from './option-values.ts';
import { optionsOf } from './options.ts';
import { readTargetOptions } from './target-options.ts';
import { tokenize } from './tokens.ts';
import type { OptionTexts } from './tokens.ts';

export type { Pace } from './option-values.ts';

export interface ConnectArgs extends TargetRequest {
  readonly port: number;
  readonly document: string | undefined;
  readonly parameters: Readonly<Record<string, readonly string[]>>;
  /** Undefined: nothing was asked for. */
  readonly connectTimeoutMs: number | undefined;
  readonly resumeTimeoutMs: number;
  readonly renewAfterMs: number;
  readonly pingIntervalMs: number;
  /** StartSession calls per second of all processes of the user; 0: no limit. */
  readonly startsPerSecond: number;
  readonly pace: Pace;
  /** Undefined: a session of its own. */
  readonly share: Share | undefined;
  /** Most sessions for one node. */
  readonly shareSessions: number;
  /** Undefined: nothing was asked for. */
  readonly logLevel: LogLevel | undefined;
  readonly logFile: string | undefined;
  readonly quiet: boolean;
}

export interface Share {
  /** A shared session without connections is ended after so long. Milliseconds. */
  readonly idleMs: number;
}

const DEFAULT_SHARE_IDLE_MS = 600_000;
const DEFAULT_SHARE_SESSIONS = 4;
const MAX_SHARE_SESSIONS = 64;

/** What AWS allows an account, as far as is known. */
export const DEFAULT_START_RATE = 3;

/** A `connect` line, split. */
export interface ConnectLine {
  readonly target: string;
  readonly port: string | undefined;
  readonly texts: OptionTexts;
}

/** The line, or undefined when this is not `connect` in a form that is known here: yargs decides then. */
export function splitConnectLine(argv: readonly string[]): ConnectLine | undefined {
  const tokens = tokenize(argv, optionsOf('connect'));
  if (tokens === undefined) return undefined;
  const [command, target, port, ...rest] = tokens.words;
  if (command !== 'connect' || target === undefined || rest.length > 0) return undefined;
  return { target, port, texts: tokens.options };
}

/** Meaning of the parts, for both parsers. `configured`: the config file's words on the target. USAGE, CONFIG_INVALID. */
export function readConnectArgs(
  { target, port, texts }: ConnectLine,
  env: Environment,
  configured?: ConfiguredValues,
): ConnectArgs {
  const options = new OptionReader('connect', texts, env, configured);
  return {
    ...parseDestination(target, port),
    ...readTargetOptions(options),
    document: options.text('document'),
    parameters: options.valuesByKey('parameter'),
    connectTimeoutMs: options.durationMs('connect-timeout', undefined),
    resumeTimeoutMs: options.durationMs('resume-timeout', RESUME_TIMEOUT_MS),
    renewAfterMs: options.durationMs('renew-after', RENEW_AFTER_MS),
    pingIntervalMs: options.durationMs('ping-interval', PING_INTERVAL_MS),
    startsPerSecond: options.rate('start-rate', DEFAULT_START_RATE),
    pace: options.pace('pace'),
    share: readShare(options),
    shareSessions: options.number('share-sessions', 1, MAX_SHARE_SESSIONS) ?? DEFAULT_SHARE_SESSIONS,
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
    quiet: options.switch('quiet'),
  };
}

/** On or off, or the idle time. */
function readShare(options: OptionReader): Share | undefined {
  const text = options.text('share')?.toLowerCase();
  if (text === undefined || ['0', 'false', 'no', 'off'].includes(text)) return undefined;
  if (['1', 'true', 'yes', 'on'].includes(text)) return { idleMs: DEFAULT_SHARE_IDLE_MS };
  return { idleMs: options.durationMs('share', DEFAULT_SHARE_IDLE_MS) };
}
