/**
 * Every option of every command, once: the parser, yargs, `--help` and the table in docs/options.md are made from this list.
 *
 * Options of `connect` and their variables are frozen: launchers store the line in a cluster's ssh config and run it
 * for as long as the cluster lives. New ones may be added, none may change its meaning.
 */
import { CHECK_OPTIONS } from './options/check.ts';
import { COMMON_OPTIONS } from './options/common.ts';
import { EMULATOR_OPTIONS } from './options/emulator.ts';
import { FORWARD_OPTIONS } from './options/forward.ts';
import { HOST_KEYS_OPTIONS } from './options/host-keys.ts';
import { KIND_OPTIONS } from './options/kinds.ts';
import { KEEPER_OPTIONS } from './options/keeper.ts';
import { LOGIN_OPTIONS } from './options/login.ts';
import { LIST_OPTIONS } from './options/list.ts';
import { PLUGIN_OPTIONS } from './options/plugin.ts';
import { POLICY_OPTIONS } from './options/policy.ts';
import { SESSION_OPTIONS } from './options/session.ts';
import { SESSIONS_OPTIONS } from './options/sessions.ts';
import { WRITING_OPTIONS } from './options/ssh-config.ts';
import type { CommandName, OptionSpec } from './options/spec.ts';

export { ALIASES, COMMANDS } from './options/spec.ts';
export type { CommandName, OptionSpec } from './options/spec.ts';

export const OPTIONS = [
  ...SESSION_OPTIONS,
  ...KIND_OPTIONS,
  ...FORWARD_OPTIONS,
  ...LIST_OPTIONS,
  ...CHECK_OPTIONS,
  ...HOST_KEYS_OPTIONS,
  ...SESSIONS_OPTIONS,
  ...KEEPER_OPTIONS,
  ...LOGIN_OPTIONS,
  ...WRITING_OPTIONS,
  ...PLUGIN_OPTIONS,
  ...POLICY_OPTIONS,
  ...EMULATOR_OPTIONS,
  ...COMMON_OPTIONS,
] as const;

export type OptionName = (typeof OPTIONS)[number]['name'];

/** The options of one command, in the order of the list. */
export function optionsOf(command: CommandName): readonly OptionSpec[] {
  const all: readonly OptionSpec[] = OPTIONS;
  return all.filter((option) => option.commands.includes(command));
}
