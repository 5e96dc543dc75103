/** Writing to stdout for commands that report. */
import type { Writable } from 'node:stream';
import { ProxyError } from '../errors.ts';

/**
 * Writes and waits until the text has left. A reader that has gone (`| head -1`) is no error: what it did not read
 * is dropped. Other failures are OUTPUT errors of the system, reported as INTERNAL with their cause.
 */
export function writeOut(stream: Writable, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error | null): void => {
      if (error === undefined || error === null || isGoneReader(error)) resolve();
      else reject(new ProxyError('INTERNAL', `stdout cannot be written: ${error.message}`, { cause: error }));
    };
    // The callback reports the failure too; without a listener the event alone would end the process.
    if (stream.listenerCount('error') === 0) stream.on('error', () => {});
    stream.write(text, settle);
  });
}

function isGoneReader(error: Error & { readonly code?: unknown }): boolean {
  return error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED' || error.code === 'ECONNRESET';
}
