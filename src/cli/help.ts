/** Texts of `--help`, apart from the options. */
import { check } from './help/check.ts';
import { completion } from './help/completion.ts';
import { config } from './help/config.ts';
import { emulator } from './help/emulator.ts';
import { forward } from './help/forward.ts';
import { exec, shell } from './help/kinds.ts';
import { hostKeys } from './help/host-keys.ts';
import { list } from './help/list.ts';
import { status, stop } from './help/keeper.ts';
import { login, logout } from './help/login.ts';
import { plugin } from './help/plugin.ts';
import { policy } from './help/policy.ts';
import { connect, resolve, wait } from './help/session.ts';
import { sessions } from './help/sessions.ts';
import { skypilot } from './help/skypilot.ts';
import { sshConfig } from './help/ssh-config.ts';
import type { CommandHelp } from './help/text.ts';
import type { CommandName } from './options.ts';

export const PROGRAM_SUMMARY =
  'SSH to private EC2 nodes through AWS Systems Manager, without the AWS CLI or the Session Manager plugin.';

export const COMMAND_HELP: Readonly<Record<CommandName, CommandHelp>> = {
  connect,
  resolve,
  wait,
  shell,
  exec,
  forward,
  list,
  check,
  'host-keys': hostKeys,
  sessions,
  config,
  status,
  stop,
  login,
  logout,
  'ssh-config': sshConfig,
  skypilot,
  plugin,
  policy,
  emulator,
  completion,
};
