/**
 * The background process that keeps shared sessions (src/keeper): no terminal, no output, everything in the user's
 * private directories. Its environment is that of the `connect` that started it; requests bring their own.
 */
import { chdir } from 'node:process';
import { systemClock } from '../clock.ts';
import { openRuntimeDirectory } from '../gate/runtime-directory.ts';
import { Identities } from '../keeper/identities.ts';
import { Keeper } from '../keeper/keeper.ts';
import { readWarmUp, WARM_UP_VARIABLE } from '../keeper/launch.ts';
import { processKey, shareKeys } from '../keeper/share-key.ts';
import { endForgotten } from './end-forgotten.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import { openKeptSession } from './kept-session.ts';

const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;
const ONLY_OWNER = 0o077;

/** Exit status. */
export async function runKeeperProcess(io: CliIo): Promise<number> {
  process.title = 'ssm-proxy keeper';
  process.umask(ONLY_OWNER);
  chdir('/');
  const env = { ...io.env };
  const warmUp = readWarmUp(env);
  delete process.env[WARM_UP_VARIABLE];
  delete env[WARM_UP_VARIABLE];
  const directory = openRuntimeDirectory(env);
  if (directory === undefined) return 1;
  const log = openLog({ logLevel: undefined, logFile: absolute(env['SSM_PROXY_LOG_FILE']) }, io);
  const identities = new Identities(log);
  const keeper = new Keeper({
    directory,
    clock: systemClock,
    log,
    processKey: processKey(env),
    opener: (request) => (events, signal) =>
      openKeptSession(request, { identities, env, log }, events, signal),
  });
  for (const signal of SIGNALS) process.on(signal, () => void keeper.end());
  io.crashGuard?.takeOver((error) => {
    log.error('keeper_crashed', { error: error.message });
    void keeper.end();
  });
  try {
    if (!(await keeper.start())) return 0;
    const keys = warmUp === undefined ? undefined : shareKeys(warmUp.target, env);
    // The files may have changed since: then nobody would find the session.
    if (warmUp !== undefined && keys?.key === warmUp.key) keeper.warmUp({ ...warmUp, env: keys.env });
    void endForgotten(env, log);
    await keeper.ended;
    return 0;
  } finally {
    identities.close();
    log.close();
  }
}

/** A relative path meant another directory than ours. */
function absolute(path: string | undefined): string | undefined {
  return path?.startsWith('/') === true ? path : undefined;
}
