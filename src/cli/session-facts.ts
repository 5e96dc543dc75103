/** What every command that opens a session says about itself, and how it reads the pace. */
import { hostname, userInfo } from 'node:os';
import type { LogFields } from '../log.ts';
import { SAFE_MESSAGES_PER_SECOND } from '../protocol/limits.ts';
import { VERSION } from '../version.ts';
import type { Pace } from './option-values.ts';

/** Longest Reason that StartSession takes. */
const REASON_CHARACTERS = 256;
/** Longest wait for a turn at StartSession when no ssh counts the time: 900 processes at 3 a second. Milliseconds. */
export const QUEUE_TIMEOUT_MS = 300_000;

/** Undefined: no pace. */
export function messagesPerSecond(pace: Pace): number | undefined {
  switch (pace.kind) {
    case 'safe':
    // Where it begins.
    case 'auto':
      return SAFE_MESSAGES_PER_SECOND;
    case 'off':
      return undefined;
    case 'rate':
      return pace.messagesPerSecond;
  }
}

/** First line of the flight record. */
export function processFacts(wallNow: number): LogFields {
  return {
    version: VERSION,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    pid: process.pid,
    startedAt: new Date(wallNow).toISOString(),
  };
}

/** Who, from where, with what, to what: readable in CloudTrail. `what` is the command with its target. */
export function reason(what: string): string {
  return `ssm-proxy/${VERSION} ${userName()}@${hostname()} ${what}`.slice(0, REASON_CHARACTERS);
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // No entry in the user database, as in many containers.
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}
