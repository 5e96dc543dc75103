/** How this program starts itself again, for a process that stays behind. */

/** Program and first arguments; those of the new process follow. */
export function selfCommand(): readonly [program: string, ...args: string[]] {
  const [, script] = process.argv;
  // A single-file executable has itself in place of the script.
  if (script === undefined || script === process.execPath) return [process.execPath];
  return [process.execPath, script];
}
