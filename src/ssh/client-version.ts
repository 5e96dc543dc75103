/** Which OpenSSH this machine has: it refuses a whole config file for one word that it does not know. */
import { spawnSync } from 'node:child_process';

const RUN_LIMIT_MS = 3_000;
/** The first that knows KnownHostsCommand. */
const WITH_KNOWN_HOSTS_COMMAND = [8, 5] as const;

/** True also when it cannot be told: the file may be for another machine. */
export function knowsKnownHostsCommand(env: NodeJS.ProcessEnv): boolean {
  const { stderr } = spawnSync('ssh', ['-V'], { env, timeout: RUN_LIMIT_MS, encoding: 'utf8' });
  return isAtLeast(stderr, WITH_KNOWN_HOSTS_COMMAND);
}

/** `text`: what `ssh -V` says. */
export function isAtLeast(
  text: string | null | undefined,
  [major, minor]: readonly [number, number],
): boolean {
  const [, first, second] = /OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)/.exec(text ?? '') ?? [];
  if (first === undefined || second === undefined) return true;
  return Number(first) > major || (Number(first) === major && Number(second) >= minor);
}
