/** A wait that an abort ends. */
import type { Clock } from '../clock.ts';
import { ProxyError } from '../errors.ts';

/** Resolves after `delayMs`; rejects with CANCELLED as soon as `signal` is aborted. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      timer.cancel();
      reject(new ProxyError('CANCELLED', 'cancelled', { cause: signal.reason }));
    };
    const timer = clock.setTimer(delayMs, () => {
      signal.removeEventListener('abort', cancel);
      resolve();
    });
    if (signal.aborted) cancel();
    else signal.addEventListener('abort', cancel, { once: true });
  });
}
