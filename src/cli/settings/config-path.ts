/**
 * Where the user's config file is, and the way to its values. Loaded by every `connect`: without a file that costs one
 * look at the file system, and the code that reads YAML is loaded only for a file that is there.
 *
 * The working directory is never looked at: a folder that one steps into must not redirect anybody's ssh.
 */
import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { ConfiguredValues, Environment } from '../option-values.ts';

const FILE_NAME = join('ssm-proxy', 'config.yaml');

/**
 * XDG_CONFIG_HOME/ssm-proxy/config.yaml, or the same below ~/.config; undefined without a home. Relative settings are
 * ignored, as the XDG specification says.
 */
export function configPath(env: Environment): string | undefined {
  const given = env['XDG_CONFIG_HOME'];
  if (given !== undefined && isAbsolute(given)) return join(given, FILE_NAME);
  const home = env['HOME'] ?? env['USERPROFILE'];
  return home !== undefined && isAbsolute(home) ? join(home, '.config', FILE_NAME) : undefined;
}

/** What the file says for a target; undefined for the target: for all. Undefined when there is no file. CONFIG_INVALID. */
export async function configuredValues(
  env: Environment,
  target: string | undefined,
): Promise<ConfiguredValues | undefined> {
  const path = configPath(env);
  if (path === undefined || !existsSync(path)) return undefined;
  const { readConfig } = await import('./config-file.ts');
  return readConfig(path).forTarget(target, env);
}
