/** The options that all commands have which stay in a session, other than `connect`, and what they make of a request. */
import type { SessionRequest } from '../open-session.ts';
import type { DocumentParameters, SessionPurpose } from '../session-purpose.ts';
import { PING_INTERVAL_MS, RENEW_AFTER_MS, RESUME_TIMEOUT_MS } from '../session/times.ts';
import { DEFAULT_START_RATE } from './connect-args.ts';
import type { LogRequest } from './log-file.ts';
import type { OptionReader } from './option-values.ts';
import { QUEUE_TIMEOUT_MS, messagesPerSecond } from './session-facts.ts';
import { readTargetOptions } from './target-options.ts';

/** All of a session's request but what it is for and whom. */
export interface SessionArgs extends Omit<SessionRequest, 'target' | 'purpose' | 'reason'>, LogRequest {
  readonly document: string | undefined;
  readonly parameters: DocumentParameters;
  readonly quiet: boolean;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 30_000;

/** Throws USAGE. */
export function readSessionArgs(options: OptionReader): SessionArgs {
  return {
    ...readTargetOptions(options),
    document: options.text('document'),
    parameters: options.valuesByKey('parameter'),
    connectTimeoutMs: options.durationMs('connect-timeout', DEFAULT_CONNECT_TIMEOUT_MS),
    timeLimitName: '--connect-timeout',
    times: {
      resumeTimeoutMs: options.durationMs('resume-timeout', RESUME_TIMEOUT_MS),
      renewAfterMs: options.durationMs('renew-after', RENEW_AFTER_MS),
      pingIntervalMs: options.durationMs('ping-interval', PING_INTERVAL_MS),
    },
    messagesPerSecond: messagesPerSecond(options.pace('pace')),
    sharing: {
      startsPerSecond: options.rate('start-rate', DEFAULT_START_RATE),
      queueTimeoutMs: QUEUE_TIMEOUT_MS,
      sharesLookups: true,
    },
    quiet: options.switch('quiet'),
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
  };
}

export function sessionRequest(
  args: SessionArgs,
  target: string,
  purpose: SessionPurpose,
  reason: string,
): SessionRequest {
  return { ...args, target, purpose, reason };
}
