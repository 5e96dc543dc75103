/**
 * All settings of the ssh that runs this process: it is asked itself, with `ssh -G` and its own arguments. Loaded only
 * where they are needed: it takes a process of its own.
 */
import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import type { SshSettings } from '../ssh/ssh-settings.ts';
import { parseSshSettings } from '../ssh/ssh-settings.ts';
import type { Environment } from './option-values.ts';
import { findParentSsh } from './parent-ssh.ts';

/** `Match exec` may run anything; ssh has waited for it once already. Milliseconds. */
const LIMIT_MS = 3_000;

/** Undefined when there is no ssh above, or it cannot be asked. Never rejects. */
export function parentSshSettings(env: Environment): Promise<SshSettings | undefined> {
  const ssh = findParentSsh();
  if (ssh === undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const options = { env: { ...env }, timeout: LIMIT_MS, killSignal: 'SIGKILL' as const };
    execFile(ssh.program, ['-G', ...ssh.args], options, (error, stdout) => {
      resolve(error === null ? parseSshSettings(stdout, env['HOME'] ?? homedir()) : undefined);
    });
  });
}
