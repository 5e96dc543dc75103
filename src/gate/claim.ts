/**
 * One of several processes does what all of them want. A claim is a symbolic link whose target is the time until which
 * it holds: making it is one atomic step that fails if the name exists. That of a process that was killed lapses.
 *
 * It saves work and protects nothing: in doubt two do the same.
 */
import { readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

export interface Claim {
  /** Idempotent. */
  release(): void;
}

/**
 * Undefined while another process has it. `name`: letters, digits and hyphens. Where the directory cannot be used
 * everybody gets it. `nowMs`: since the epoch.
 */
export function claim(directory: string, name: string, lifeMs: number, nowMs: number): Claim | undefined {
  const path = join(directory, `claim-${name}`);
  const remove = (): void => {
    try {
      unlinkSync(path);
    } catch {
      // Somebody else has removed it.
    }
  };
  try {
    const untilMs = Number(readlinkSync(path));
    if (untilMs > nowMs && untilMs <= nowMs + lifeMs) return undefined;
    remove();
  } catch {
    // There is none.
  }
  try {
    symlinkSync(String(nowMs + lifeMs), path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return undefined;
  }
  return { release: remove };
}
