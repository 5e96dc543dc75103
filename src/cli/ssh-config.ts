/** `ssm-proxy ssh-config`: the part of an ssh_config that uses this program; printed, written, or taken away. */
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { ProxyError } from '../errors.ts';
import { BACKUP_SUFFIX, editFile } from '../files/edit-file.ts';
import { knowsKnownHostsCommand } from '../ssh/client-version.ts';
import { isHostPattern, sshConfigBlock } from '../ssh/config-block.ts';
import { withInclude, withoutInclude } from '../ssh/include-line.ts';
import { connectLine, hostKeysLine } from './connect-line.ts';
import type { CliIo } from './io.ts';
import type { Environment, OptionReader } from './option-values.ts';
import { writeOut } from './output.ts';
import type { OptionTexts } from './tokens.ts';

export interface SshConfigArgs {
  readonly action: 'print' | 'write' | 'remove';
  /** The text of the file. */
  readonly block: string;
}

const OWN_FILE = 'ssm-proxy.conf';

/** Throws USAGE. */
export function readSshConfigArgs(
  options: OptionReader,
  texts: OptionTexts,
  env: Environment,
): SshConfigArgs {
  const isWriting = options.switch('write');
  const isRemoving = options.switch('remove');
  if (isWriting && isRemoving) {
    throw new ProxyError('USAGE', '--write and --remove exclude each other', { hint: 'give one of them' });
  }
  const isAbsolute = options.switch('absolute');
  const hasHostKeys = !options.switch('no-host-keys') && !isRemoving && knowsKnownHostsCommand(env);
  const block = sshConfigBlock({
    hosts: patterns(options, 'host'),
    clusters: patterns(options, 'cluster'),
    proxyCommand: connectLine('ssh-config', texts, env, isAbsolute),
    knownHostsCommand: hasHostKeys ? hostKeysLine(texts, env, isAbsolute) : undefined,
    sharesConnections: options.switch('control-master'),
  });
  return { action: isWriting ? 'write' : isRemoving ? 'remove' : 'print', block };
}

function patterns(options: OptionReader, name: 'host' | 'cluster'): readonly string[] {
  const given = options.texts(name);
  const wrong = given.find((text) => !isHostPattern(text));
  if (wrong === undefined) return given;
  throw new ProxyError('USAGE', `--${name} ${JSON.stringify(wrong)} cannot be used`, {
    hint: 'give a name or address, * and ? may stand in it',
  });
}

/** Exit status. CONFIG_INVALID when a file cannot be changed. */
export async function runSshConfig({ action, block }: SshConfigArgs, io: CliIo): Promise<number> {
  if (action === 'print') {
    await writeOut(io.stdout, block);
    return 0;
  }
  const files = sshFiles(io.env);
  const text = action === 'write' ? await write(files, block) : await remove(files);
  await writeOut(io.stdout, text);
  return 0;
}

interface SshFiles {
  readonly config: string;
  readonly own: string;
  /** Own file as the Include line names it. */
  readonly included: string;
}

/** ssh takes the home directory from the user database, so a HOME that differs has to be named. */
function sshFiles(env: Environment): SshFiles {
  const home = env['HOME'] ?? homedir();
  const folder = join(home, '.ssh');
  const own = join(folder, OWN_FILE);
  return { config: join(folder, 'config'), own, included: home === databaseHome() ? OWN_FILE : own };
}

function databaseHome(): string | undefined {
  try {
    return userInfo().homedir;
  } catch {
    // No entry in the user database, as in many containers.
    return undefined;
  }
}

async function write({ config, own, included }: SshFiles, block: string): Promise<string> {
  const written = await editFile(own, { edit: () => block });
  const edit = (text: string | undefined): string => withInclude(text, included);
  const { hasChanged, backup } = await editFile(config, { edit, backupSuffix: BACKUP_SUFFIX });
  if (!written.hasChanged && !hasChanged) return `${own} is up to date, and ${config} includes it.\n`;
  return [
    `${own} is ${written.hasChanged ? 'written' : 'up to date'}, and ${config} includes it.`,
    ...(backup === undefined ? [] : [`What was in ${config} is in ${backup}.`]),
    '',
  ].join('\n');
}

async function remove({ config, own, included }: SshFiles): Promise<string> {
  const edit = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : withoutInclude(text, included);
  const { hasChanged, backup } = await editFile(config, { edit, backupSuffix: BACKUP_SUFFIX });
  const removed = await editFile(own, { edit: () => undefined });
  if (!hasChanged && !removed.hasChanged) return 'There was nothing to remove.\n';
  return [
    `${own} is gone, and ${config} does not include it any more.`,
    ...(backup === undefined ? [] : [`What was in ${config} is in ${backup}.`]),
    '',
  ].join('\n');
}
