/**
 * What the SDK may say. Without a logger of ours it would write warnings to the console, that is, into ssh's
 * stderr; and at its info level it gives whole requests and answers, tokens included, so that level goes nowhere.
 */
import { firstLine } from '../errors.ts';
import type { Log } from '../log.ts';

export interface SdkLogger {
  trace(...content: unknown[]): void;
  debug(...content: unknown[]): void;
  info(...content: unknown[]): void;
  warn(...content: unknown[]): void;
  error(...content: unknown[]): void;
}

const ignore = (): void => {};

/** Warnings go to the log as `sdk-warning`; nothing else is kept. */
export function sdkLogger(log: Log): SdkLogger {
  return {
    trace: ignore,
    debug: ignore,
    info: ignore,
    warn: (...content) => {
      const [first] = content;
      if (typeof first === 'string') log.warn('sdk-warning', { text: firstLine(first) });
    },
    error: ignore,
  };
}

/**
 * The SDK warns on stderr that future versions of it will want a newer Node, at the first client of a process. Its
 * only switch is this variable, so this is the one thing that this package changes process-wide.
 */
export function silenceVersionWarning(): void {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
}
