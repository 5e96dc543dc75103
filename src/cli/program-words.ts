/**
 * The words that start this program from a line that another one keeps (ProxyCommand, KnownHostsCommand). The plain
 * name where PATH leads to this very program; else, or where absolute paths are asked for, node and the file: programs
 * that are not started from a shell know another PATH, and then would not find node either.
 */
import { realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Environment } from './option-values.ts';

const NAME = 'ssm-proxy';

export function programWords(
  env: Environment,
  isAbsolute: boolean,
  script: string = process.argv[1] ?? '',
): readonly string[] {
  const file = realPath(script) ?? script;
  if (!isAbsolute && onPath(env).some((path) => realPath(path) === file)) return [NAME];
  // A single-file executable has itself in place of the script.
  return file === realPath(process.execPath) ? [file] : [process.execPath, file];
}

/** The same for lines that take no plain name: where PATH leads to this program, the path that it has there. */
export function absoluteWords(
  env: Environment,
  isAbsolute: boolean,
  script: string = process.argv[1] ?? '',
): readonly string[] {
  const words = programWords(env, isAbsolute, script);
  return words[0] === NAME ? onPath(env).slice(0, 1) : words;
}

/** The first of that name only: it is the one that would run. */
function onPath(env: Environment): readonly string[] {
  const paths = (env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, NAME));
  return paths.filter((path) => realPath(path) !== undefined).slice(0, 1);
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
