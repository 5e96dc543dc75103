/**
 * The file by the name session-manager-plugin that starts this program as the drop-in, and where it is. Another
 * program's file by that name is never written to or removed; ours is known by its second line.
 */
import { accessSync, closeSync, constants, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { chmod, unlink } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { ProxyError } from '../../errors.ts';
import { editFile } from '../../files/edit-file.ts';
import type { Environment } from '../option-values.ts';
import { programWords } from '../program-words.ts';
import { shellWord } from '../shell-word.ts';

export const LAUNCHER_NAME = 'session-manager-plugin';
const ENTRY = 'session-manager-plugin.cjs';
const MARK = '#!/bin/sh\n# session-manager-plugin of ssm-proxy, made by: ssm-proxy plugin install\n';
/** Everybody may run it, as any program; only the user may change it. */
const MODE = 0o755;

/** Where it is put unless a folder is given: where programs of one user are. Throws USAGE without a home. */
export function launcherPath(env: Environment, folder: string | undefined): string {
  if (folder !== undefined) return join(resolve(folder), LAUNCHER_NAME);
  const home = env['HOME'];
  if (home === undefined || !isAbsolute(home)) {
    throw new ProxyError('USAGE', 'there is no home directory to install into', { hint: 'give --dir' });
  }
  return join(home, '.local', 'bin', LAUNCHER_NAME);
}

/** Undefined: there is nothing by that name. */
export function ownerOf(path: string): 'ours' | 'foreign' | undefined {
  try {
    if (!statSync(path).isFile()) return 'foreign';
    const file = openSync(path, 'r');
    try {
      const start = Buffer.alloc(Buffer.byteLength(MARK));
      const length = readSync(file, start, 0, start.length, 0);
      return start.toString('utf8', 0, length) === MARK ? 'ours' : 'foreign';
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : 'foreign';
  }
}

/** Files by the name on the PATH that can be run, in its order. */
export function launchersOnPath(env: Environment): readonly string[] {
  return pathFolders(env)
    .map((folder) => join(folder, LAUNCHER_NAME))
    .filter((path) => {
      try {
        accessSync(path, constants.X_OK);
        return statSync(path).isFile();
      } catch {
        return false;
      }
    });
}

/** The other program's file that callers would no longer find with ours at `path`; undefined: there is none. */
export function shadowedBy(path: string, env: Environment): string | undefined {
  const folders = pathFolders(env).map(realPath);
  const place = folders.indexOf(realPath(dirname(path)));
  if (place < 0) return undefined;
  return launchersOnPath(env).find(
    (other) => ownerOf(other) === 'foreign' && folders.indexOf(realPath(dirname(other))) > place,
  );
}

export function isOnPath(path: string, env: Environment): boolean {
  return pathFolders(env)
    .map(realPath)
    .includes(realPath(dirname(path)));
}

/** Whether anything was to be done. Throws USAGE for another program's file, CONFIG_INVALID when it cannot be written. */
export async function writeLauncher(path: string, env: Environment): Promise<boolean> {
  refuseForeign(path);
  const text = launcherText(launcherWords(env));
  const { hasChanged } = await editFile(path, { edit: () => text });
  const isRunnable = (statSync(path).mode & 0o777) === MODE;
  if (!isRunnable) await chmod(path, MODE);
  return hasChanged || !isRunnable;
}

/** Whether there was one. Throws USAGE for another program's file. */
export async function removeLauncher(path: string): Promise<boolean> {
  if (ownerOf(path) === undefined) return false;
  refuseForeign(path);
  await unlink(path);
  return true;
}

function refuseForeign(path: string): void {
  if (ownerOf(path) !== 'foreign') return;
  throw new ProxyError('USAGE', `${path} is there already, and is not of ssm-proxy`, {
    hint: 'it is left as it is; choose another folder with --dir',
  });
}

/** The node of this process: programs that callers are started from may know another PATH, or none. */
function launcherWords(env: Environment): readonly string[] {
  const words = programWords(env, true);
  const [program = '', script] = words;
  // A single-file executable has no entry beside it.
  return script === undefined ? [program, 'plugin', 'run'] : [program, join(dirname(script), ENTRY)];
}

function launcherText(words: readonly string[]): string {
  return `${MARK}exec ${words.map(shellWord).join(' ')} "$@"\n`;
}

function pathFolders(env: Environment): readonly string[] {
  return (env['PATH'] ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
