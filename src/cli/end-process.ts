/**
 * The end of the program. process.exit() would cut off what is still on its way to a piped stdout, so the exit
 * status is set and the event loop drains by itself. Should a handle left open keep it alive, a limit ends it.
 */

/** Milliseconds that the process may stay after its work is done. Commands flush their output before they return. */
const DRAIN_LIMIT_MS = 1000;

/** Lets the process end with `status`. May be called again: the first failure's status stays. */
export function endProcess(status: number): void {
  const earlier = Number(process.exitCode ?? 0);
  process.exitCode = earlier === 0 ? status : earlier;
  setTimeout(() => process.exit(), DRAIN_LIMIT_MS).unref();
}
