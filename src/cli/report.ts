/**
 * How errors look: one line `ssm-proxy: <what failed, to what> [CODE]`, then lines with what to do. Launchers match
 * this text. Every line has the prefix, so none can start with `ssh:`, which they take for a message of ssh itself.
 */
import type { ProxyError } from '../errors.ts';

/** Finished lines with line breaks. `withStack` adds what a bug report needs. */
export function formatError(error: ProxyError, withStack: boolean): string {
  const lines = [`${error.message.replace(/\s*\r?\n\s*/g, ' ')} [${error.code}]`];
  if (error.hint !== undefined) lines.push(...error.hint.split(/\r?\n/));
  if (withStack) lines.push(...stackLines(error));
  return lines.map((line) => `ssm-proxy: ${printable(line)}\n`).join('');
}

function stackLines(error: ProxyError): readonly string[] {
  const lines: string[] = [];
  let current: unknown = error;
  // Causes of causes, with a bound in case they form a ring.
  for (let depth = 0; depth < 8 && current instanceof Error; depth += 1) {
    const stack = current.stack ?? String(current);
    lines.push(...`${depth === 0 ? '' : 'caused by '}${stack}`.split('\n').slice(0, 30));
    current = current.cause;
  }
  return lines;
}

/** Names and messages come from AWS accounts and peers: no control character of theirs reaches a terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '?');
}
