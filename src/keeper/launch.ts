/**
 * Starts the keeper as a process that has nothing in common with this one: a session and process group of its own, no
 * terminal, no descriptor of ours (a captured stderr must reach its end when `connect` does), working directory `/`.
 * What Node itself opens or inherits beyond 0, 1 and 2 is closed on exec.
 */
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import type { ConnectRequest } from './wire.ts';

/** First word of the command line that is the keeper; not a command for people. */
export const KEEPER_WORD = 'keeper-process';
/** Variable with the request that the keeper shall open a session for at once; its `env` is the process's own. */
export const WARM_UP_VARIABLE = 'SSM_PROXY_KEEPER_WARM_UP';

export type WarmUp = Omit<ConnectRequest, 'env'>;

/** How this program is started: the executable, and the words before its own arguments. */
export type SelfCommand = readonly [program: string, ...words: string[]];

/** Throws the errors of spawn and of the file system. */
export function launchKeeper(request: ConnectRequest, env: NodeJS.ProcessEnv, self: SelfCommand): void {
  // Without `env`, which holds secrets: the process has it from us.
  const { op, key, identity, processKey, target, idleMs, maxSessions } = request;
  const warmUp: WarmUp = { op, key, identity, processKey, target, idleMs, maxSessions };
  const [program, ...words] = self;
  const child = spawn(program, [...words.map(absolute), KEEPER_WORD], {
    cwd: '/',
    detached: true,
    stdio: 'ignore',
    env: { ...env, [WARM_UP_VARIABLE]: JSON.stringify(warmUp) },
  });
  // ENOENT and its kin come later: without a keeper everybody goes alone.
  child.on('error', () => {});
  child.unref();
}

/** What `launchKeeper` gave; undefined when there is nothing, or nothing that can be read. */
export function readWarmUp(env: NodeJS.ProcessEnv): WarmUp | undefined {
  try {
    const content: unknown = JSON.parse(env[WARM_UP_VARIABLE] ?? '');
    return typeof content === 'object' && content !== null && 'key' in content
      ? (content as WarmUp)
      : undefined;
  } catch {
    return undefined;
  }
}

/** It starts in another directory. */
function absolute(word: string): string {
  return word.startsWith('-') ? word : realpathSync(word);
}
