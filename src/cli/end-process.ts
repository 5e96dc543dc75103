/**
 * The end of the program. process.exit() would cut off what is still on its way to a piped stdout, so the exit
 * status is set and the event loop drains by itself. Should a handle left open keep it alive, a limit ends it.
 *
 * The promise is to be gone 2 s after whatever ended it. A session takes up to 1.5 s to be terminated, its record up
 * to 0.3 s.
 */

/** Milliseconds that the process may stay after its work is done. Commands flush their output before they return. */
const DRAIN_LIMIT_MS = 150;
/** Milliseconds from the reason to end until the process is gone, whatever hangs. */
const GONE_LIMIT_MS = 1_900;

let isLimited = false;

/** Lets the process end with `status`. May be called again: the first failure's status stays. */
export function endProcess(status: number): void {
  const earlier = Number(process.exitCode ?? 0);
  process.exitCode = earlier === 0 ? status : earlier;
  setTimeout(() => process.exit(), DRAIN_LIMIT_MS).unref();
}

/** From now on the process has 2 s, and ends with `status` if it has no other by then. The first call counts. */
export function limitEnd(status: number): void {
  if (isLimited) return;
  isLimited = true;
  setTimeout(() => process.exit(process.exitCode ?? status), GONE_LIMIT_MS).unref();
}
