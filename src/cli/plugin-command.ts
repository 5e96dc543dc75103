/** `ssm-proxy plugin`: puts the drop-in for session-manager-plugin where other programs find it, and takes it away. */
import { ProxyError } from '../errors.ts';
import type { CliIo } from './io.ts';
import type { Environment, OptionReader } from './option-values.ts';
import { writeOut } from './output.ts';
import {
  isOnPath,
  launcherPath,
  launchersOnPath,
  ownerOf,
  removeLauncher,
  shadowedBy,
  writeLauncher,
} from './plugin/launcher.ts';
import { printable } from './report.ts';

export interface PluginArgs {
  readonly action: 'install' | 'path' | 'uninstall';
  /** Undefined: the user's folder for programs. */
  readonly folder: string | undefined;
  /** Another program by the name may be hidden. */
  readonly mayShadow: boolean;
}

/** Throws USAGE. */
export function readPluginArgs(words: readonly string[], options: OptionReader): PluginArgs {
  const [action, extra] = words;
  const hint = 'ssm-proxy plugin install, path or uninstall';
  if (extra !== undefined) {
    throw new ProxyError('USAGE', `plugin takes no argument ${JSON.stringify(extra)}`, { hint });
  }
  if (action !== 'install' && action !== 'path' && action !== 'uninstall') {
    const what =
      action === undefined ? 'it is not said what to do' : `plugin has no action ${JSON.stringify(action)}`;
    throw new ProxyError('USAGE', what, { hint });
  }
  return { action, folder: options.text('dir'), mayShadow: options.switch('shadow') };
}

/** Exit status. USAGE when another program's file is in the way, CONFIG_INVALID when the file cannot be written. */
export async function runPluginCommand(args: PluginArgs, io: CliIo): Promise<number> {
  const lines = await act(args, io.env);
  await writeOut(io.stdout, lines.map((line) => `${printable(line)}\n`).join(''));
  return 0;
}

async function act(args: PluginArgs, env: Environment): Promise<readonly string[]> {
  const path = launcherPath(env, args.folder);
  switch (args.action) {
    case 'install':
      return install(path, args, env);
    case 'path':
      return [found(path, args, env) ?? notInstalled()];
    case 'uninstall': {
      const there = found(path, args, env) ?? path;
      const wasThere = await removeLauncher(there);
      return [`${there} ${wasThere ? 'is removed' : 'is not installed'}.`];
    }
  }
}

async function install(path: string, args: PluginArgs, env: Environment): Promise<readonly string[]> {
  if (process.platform === 'win32') throw new ProxyError('USAGE', 'plugin install is not for Windows');
  const shadowed = shadowedBy(path, env);
  if (shadowed !== undefined && !args.mayShadow) {
    throw new ProxyError('USAGE', `${path} would come before ${shadowed}, which is not of ssm-proxy`, {
      hint: 'add --shadow if that is what you want; --dir names another folder',
    });
  }
  const hasChanged = await writeLauncher(path, env);
  const [first] = launchersOnPath(env);
  return [
    `${path} ${hasChanged ? 'is installed' : 'is installed already'}.`,
    ...(shadowed === undefined ? [] : [`Note: it comes before ${shadowed} now.`]),
    ...(isOnPath(path, env) ? [] : ['Note: its folder is not on the PATH.']),
    ...(first === undefined || ownerOf(first) === 'ours'
      ? []
      : [`Note: ${first}, which is not of ssm-proxy, is found first.`]),
  ];
}

/** In the folder that is meant; where none was named, also elsewhere on the PATH. */
function found(path: string, { folder }: PluginArgs, env: Environment): string | undefined {
  const places = folder === undefined ? [path, ...launchersOnPath(env)] : [path];
  return places.find((place) => ownerOf(place) === 'ours');
}

function notInstalled(): never {
  throw new ProxyError('USAGE', 'session-manager-plugin of ssm-proxy is not installed', {
    hint: 'ssm-proxy plugin install does it',
  });
}
