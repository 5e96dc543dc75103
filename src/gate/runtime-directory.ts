/**
 * The user's private directory for what processes of one machine tell each other while they run: XDG_RUNTIME_DIR/ssm-proxy,
 * or ssm-proxy/run-<host> under the cache directory (a home directory may be shared by machines).
 *
 * Only a real directory of this user's own that nobody else may enter is used. Any doubt: undefined, and callers do
 * without. Synchronous: it is a matter of microseconds, and nothing else could be done meanwhile.
 */
import { lstatSync, mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { isAbsolute, join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

const PRIVATE_DIRECTORY = 0o700;
const OTHERS = 0o077;

/** Its path; made if it is not there. Undefined when there is none that can be trusted. */
export function openRuntimeDirectory(env: Environment): string | undefined {
  for (const path of candidates(env)) if (isPrivate(path)) return path;
  return undefined;
}

function* candidates(env: Environment): Generator<string> {
  const runtime = env['XDG_RUNTIME_DIR'];
  if (runtime !== undefined && isAbsolute(runtime)) yield join(runtime, 'ssm-proxy');
  const cache = cacheDirectory(env);
  if (cache !== undefined) yield join(cache, `run-${hostname().replace(/[^\w.-]/g, '_')}`);
}

/** ssm-proxy under XDG_CACHE_HOME or ~/.cache; undefined without a home. Not made, not checked. */
function cacheDirectory(env: Environment): string | undefined {
  const cache = env['XDG_CACHE_HOME'];
  if (cache !== undefined && isAbsolute(cache)) return join(cache, 'ssm-proxy');
  const home = env['HOME'];
  return home !== undefined && isAbsolute(home) ? join(home, '.cache', 'ssm-proxy') : undefined;
}

function isPrivate(path: string): boolean {
  try {
    return check(path);
  } catch {
    // Not there: the first process of this user, of this boot.
  }
  try {
    mkdirSync(path, { recursive: true, mode: PRIVATE_DIRECTORY });
    return check(path);
  } catch {
    return false;
  }
}

function check(path: string): boolean {
  const info = lstatSync(path);
  return info.isDirectory() && info.uid === process.geteuid?.() && (info.mode & OTHERS) === 0;
}
