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
  /** Undefined: no key is pushed. */
  readonly pushKey: PushKey | undefined;
  /** Undefined: a stopped instance is an error. */
  readonly startInstance: StartInstance | undefined;
  /** Where a person is there to answer, an SSO login that has expired may be renewed. */
  readonly offersLogin: boolean;
  /** Undefined: nothing was asked for. */
  readonly logLevel: LogLevel | undefined;
  readonly logFile: string | undefined;
  readonly quiet: boolean;
}

export interface Share {
  /** A shared session without connections is ended after so long. Milliseconds. */
  readonly idleMs: number;
}

export interface PushKey {
  readonly key:
    | { readonly kind: 'usual' | 'fresh' }
    /** As the user wrote it. */
    | { readonly kind: 'file'; readonly path: string };
  /** User on the node; undefined: as ssh has it. */
  readonly user: string | undefined;
}

export interface StartInstance {
  /** For a start and what comes after it. Milliseconds. */
  readonly limitMs: number;
}

const DEFAULT_START_LIMIT_MS = 300_000;
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
    pushKey: readPushKey(options),
    startInstance: readStartInstance(options),
    offersLogin: !options.switch('no-login'),
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
    quiet: options.switch('quiet'),
  };
}

/** On or off, or the idle time. */
function readShare(options: OptionReader): Share | undefined {
  const text = options.text('share');
  if (isOff(text)) return undefined;
  if (isOn(text)) return { idleMs: DEFAULT_SHARE_IDLE_MS };
  return { idleMs: options.durationMs('share', DEFAULT_SHARE_IDLE_MS) };
}

/** On or off, or the time limit. */
export function readStartInstance(options: OptionReader): StartInstance | undefined {
  const text = options.text('start-instance');
  if (isOff(text)) return undefined;
  if (isOn(text)) return { limitMs: DEFAULT_START_LIMIT_MS };
  return { limitMs: options.durationMs('start-instance', DEFAULT_START_LIMIT_MS) };
}

/** On or off, `fresh`, or a file. */
function readPushKey(options: OptionReader): PushKey | undefined {
  const text = options.text('push-key');
  if (text === undefined || isOff(text)) return undefined;
  const user = options.text('user');
  if (isOn(text)) return { key: { kind: 'usual' }, user };
  return { key: text === 'fresh' ? { kind: 'fresh' } : { kind: 'file', path: text }, user };
}

function isOff(text: string | undefined): boolean {
  return text === undefined || ['0', 'false', 'no', 'off'].includes(text.toLowerCase());
}

function isOn(text: string | undefined): boolean {
  return text !== undefined && ['1', 'true', 'yes', 'on'].includes(text.toLowerCase());
}
