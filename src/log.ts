/**
 * Event log: name first, then fields, e.g. `resend seq=41 attempt=3 rttMs=82`.
 *
 * A Log is passed in, never global. Disabled levels cost one comparison. No payload, token, signed URL or key
 * may be given as a field; `redactUrl` is the only way a stream URL reaches a log.
 */

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  error(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
  trace(event: string, fields?: LogFields): void;
  /** True when events of this level are written; guard anything that builds fields in a loop. */
  isEnabled(level: LogLevel): boolean;
  /** A log whose event names start with `scope.`. */
  child(scope: string): Log;
}

const ignore = (): void => {};

/** Writes nothing. */
export const silentLog: Log = {
  error: ignore,
  warn: ignore,
  info: ignore,
  debug: ignore,
  trace: ignore,
  isEnabled: () => false,
  child: () => silentLog,
};

/** A log that gives finished lines (without line break) to `write`. `wallClock` is ms since the epoch. */
export function createLog(level: LogLevel, write: (line: string) => void, wallClock: () => number): Log {
  const threshold = LOG_LEVELS.indexOf(level);
  const make = (prefix: string): Log => {
    const at = (own: LogLevel) => {
      if (LOG_LEVELS.indexOf(own) > threshold) return ignore;
      return (event: string, fields?: LogFields): void => {
        write(`${new Date(wallClock()).toISOString()} ${own} ${prefix}${event}${formatFields(fields)}`);
      };
    };
    return {
      error: at('error'),
      warn: at('warn'),
      info: at('info'),
      debug: at('debug'),
      trace: at('trace'),
      isEnabled: (asked) => LOG_LEVELS.indexOf(asked) <= threshold,
      child: (scope) => make(`${prefix}${scope}.`),
    };
  };
  return make('');
}

/** Fields as they stand in a line: ` name=value` each, quoted where needed; undefined ones are left out. */
export function formatFields(fields: LogFields | undefined): string {
  if (fields === undefined) return '';
  let text = '';
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const shown = typeof value === 'string' && /[\s"=]/.test(value) ? JSON.stringify(value) : String(value);
    text += ` ${name}=${shown}`;
  }
  return text;
}

/** Host of a URL, without path and query: all of a stream URL that a log may show. */
export function redactUrl(url: string): string {
  return /^[a-z]+:\/\/[^/?#]*/i.exec(url)?.[0] ?? '(url)';
}
