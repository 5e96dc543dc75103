/**
 * The emulated node's own corner of this machine: a home directory, an environment that shows the node's name and
 * nothing of ours (no AWS credentials, no agent socket), and a `hostname` command in front of the PATH.
 */
import { randomUUID } from 'node:crypto';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Environment variable with the node's name. */
export const NODE_NAME_VARIABLE = 'SSM_PROXY_NODE';
/** Environment variable that marks every process of one running node. */
export const NODE_MARK_VARIABLE = 'SSM_PROXY_NODE_RUN';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Passed on from this process; everything else stays behind. */
const INHERITED_VARIABLES = ['LANG', 'LC_ALL', 'TZ', 'TMPDIR'] as const;

export interface NodeHome {
  /** HOME, and the working directory of commands. */
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Absolute path of the login shell. */
  readonly shell: string;
  /** Value of NODE_MARK_VARIABLE; different for each start. */
  readonly mark: string;
}

/** Makes the node's directories below `directory`; what is there already stays. */
export async function prepareHome(directory: string, hostname: string, user: string): Promise<NodeHome> {
  const root = join(directory, directoryName(hostname));
  const home = join(root, 'home');
  const bin = join(root, 'bin');
  await mkdir(home, { recursive: true, mode: 0o700 });
  await mkdir(bin, { recursive: true, mode: 0o700 });
  await writeFile(join(bin, 'hostname'), HOSTNAME_SCRIPT, { mode: 0o700 });
  // Read by interactive bash after the system's own file, which sets a prompt with this machine's name.
  await writeFile(join(home, '.bashrc'), `PS1='${user}@${hostname}:\\w\\$ '\n`, { mode: 0o600 });
  const shell = (await exists('/bin/bash')) ? '/bin/bash' : '/bin/sh';
  const mark = randomUUID();
  const environment: Record<string, string> = {
    HOME: home,
    USER: user,
    LOGNAME: user,
    SHELL: shell,
    PATH: `${bin}:${process.env['PATH'] ?? DEFAULT_PATH}`,
    PS1: `${user}@${hostname}:\\w\\$ `,
    HOSTNAME: hostname,
    [NODE_NAME_VARIABLE]: hostname,
    [NODE_MARK_VARIABLE]: mark,
  };
  for (const name of INHERITED_VARIABLES) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return { directory: home, environment, shell, mark };
}

/** A file name for the node, whatever its name holds. */
export function directoryName(hostname: string): string {
  const name = hostname.replace(/[^A-Za-z0-9._-]/g, '_');
  return /^\.*$/.test(name) ? '_' : name;
}

const HOSTNAME_SCRIPT = `#!/bin/sh
# The emulated node's name. Options other than these are not supported.
case "$1" in
  -s | --short) echo "\${${NODE_NAME_VARIABLE}%%.*}" ;;
  *) echo "$${NODE_NAME_VARIABLE}" ;;
esac
`;

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
