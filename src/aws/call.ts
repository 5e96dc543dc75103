/** One API call: credentials first, errors translated, ended by the caller's signal whatever the SDK is doing. */
import type { AwsContext } from './context.ts';
import { cancellation, translateAwsError } from './errors.ts';

export interface CallOptions {
  /** Ends the call: also its retries, and the wait for credentials. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `send` with a signal for the SDK. `operation` as AWS names it. Throws ProxyError only; when the caller's
 * signal ends it, its reason if that is one, else CANCELLED.
 */
export async function call<T>(
  context: AwsContext,
  operation: string,
  options: CallOptions,
  send: (abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  const signal = options.signal ?? new AbortController().signal;
  if (signal.aborted) throw cancellation(signal, operation);
  const startedAt = performance.now();
  let onAbort: (() => void) | undefined;
  // Neither a credential_process nor a wait between two attempts ends by itself when the signal does.
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(cancellation(signal, operation));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    const answer = await Promise.race([context.credentials().then(() => send(signal)), aborted]);
    context.log.debug('call', {
      operation,
      region: context.region,
      ms: Math.round(performance.now() - startedAt),
    });
    return answer;
  } catch (error) {
    if (signal.aborted) throw cancellation(signal, operation);
    const translated = translateAwsError(error, operation, context.network);
    context.log.debug('call-failed', {
      operation,
      region: context.region,
      code: translated.code,
      message: translated.message,
      ms: Math.round(performance.now() - startedAt),
    });
    throw translated;
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}
