/** Waits for a condition, never for a time. */
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;
/** Long, for a loaded machine: a wait that fails here hangs. */
const LIMIT_MS = 30_000;

/** Resolves with what `check` gives once that is neither undefined nor false; rejects after the limit. */
export async function until<T>(
  what: string,
  check: () => T | undefined | false,
  limitMs = LIMIT_MS,
): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const found = check();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await delay(POLL_MS);
  }
}
