/**
 * Whether a proxy line of SkyPilot's config works in all the places that SkyPilot puts it: behind `exec` of the user's
 * shell, inside another ProxyCommand with %h and %p replaced as text, through rsync's own splitting. Plain words do,
 * much else does not. Pure, but for looking at which programs there are.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { isAwsCliLine, isOwnLine } from '../skypilot/adoption.ts';
import type { Finding } from './finding.ts';
import { failed, ok, warning } from './finding.ts';

/** Folders that are on every PATH, also of programs that no shell has started. */
const USUAL_FOLDERS: ReadonlySet<string> = new Set(['/usr/local/bin', '/usr/bin', '/bin']);
const WRITE = 'run: ssm-proxy skypilot config --write';

/** `region`: the one that the line is for, undefined for all. */
export function checkLine(
  line: string,
  region: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): readonly Finding[] {
  const id = region === undefined ? 'sky-line' : `sky-line.${region}`;
  const what = region === undefined ? 'Proxy line' : `Line ${region}`;
  if (isAwsCliLine(line)) {
    return [failed(id, what, 'it is a line of the AWS CLI, which needs the CLI and its plugin', WRITE)];
  }
  if (!isOwnLine(line)) return [warning(id, what, `it does not use ssm-proxy: ${line}`, WRITE)];
  const wrong = grammarTrouble(line);
  if (wrong !== undefined) return [failed(id, what, `${wrong}: ${line}`, WRITE)];
  return [ok(id, what, line), programFinding(line, id, env), ...regionFindings(line, region, id)];
}

/** The value of an option in a line; undefined without it. */
export function optionInLine(line: string, name: string): string | undefined {
  return new RegExp(`\\s--${name}[= ]+(\\S+)`).exec(line)?.[1];
}

/** What is wrong with it as a list of plain words. */
function grammarTrouble(line: string): string | undefined {
  const words = line.trim().split(/\s+/);
  const odd = /["'`$\\;|&<>(){}*?#!~]/.exec(line)?.[0];
  if (odd !== undefined) return `the character ${odd} means something to one of the shells that read it`;
  if (/\n/.test(line.trim())) return 'it has several lines';
  if (/^\w+=/.test(words[0] ?? '')) return 'ssh puts exec before it, and exec takes no variables';
  const token = /%(?![hp])./.exec(line)?.[0];
  if (token !== undefined)
    return `of ssh's tokens only %h and %p are replaced in all places, and it has ${token}`;
  if (!words.includes('%h') || !words.includes('%p')) return '%h and %p have to be words of their own in it';
  return undefined;
}

function programFinding(
  line: string,
  lineId: string,
  env: Readonly<Record<string, string | undefined>>,
): Finding {
  const id = lineId.replace('sky-line', 'sky-program');
  const what = 'Its program';
  const before = line.trim().split(/\s+/);
  const paths = before.slice(0, before.indexOf('connect')).filter((word) => isAbsolute(word));
  const [program = ''] = before;
  const absolute = 'run: ssm-proxy skypilot config --write --absolute';
  const gone = paths.find((path) => !canRead(path));
  if (gone !== undefined) return failed(id, what, `${gone} is not there`, absolute);
  if (isAbsolute(program)) return ok(id, what, `${program}, by its absolute path`);
  const folder = (env['PATH'] ?? '').split(delimiter).find((each) => canRun(join(each, program)));
  if (folder === undefined) {
    return failed(id, what, `${program} is not on the PATH`, `npm install -g puts it there, or ${absolute}`);
  }
  if (USUAL_FOLDERS.has(folder)) return ok(id, what, join(folder, program));
  return warning(
    id,
    what,
    `${join(folder, program)}, in a folder that only this shell's PATH may have`,
    `for VS Code, cron and an API server: ${absolute}`,
  );
}

function regionFindings(line: string, region: string | undefined, lineId: string): readonly Finding[] {
  const own = optionInLine(line, 'region');
  if (region === undefined || own === region) return [];
  const id = lineId.replace('sky-line', 'sky-region');
  const fix = `put --region ${region} into it`;
  if (own === undefined)
    return [
      warning(id, 'Its region', `the line for ${region} leaves the region to the AWS configuration`, fix),
    ];
  return [failed(id, 'Its region', `the line for ${region} says --region ${own}`, fix)];
}

function canRun(path: string): boolean {
  return may(path, constants.X_OK);
}

function canRead(path: string): boolean {
  return may(path, constants.R_OK);
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
