/** What an option is, and the commands and groups of commands that options belong to. */

export const COMMANDS = [
  'connect',
  'resolve',
  'wait',
  'shell',
  'exec',
  'forward',
  'list',
  'check',
  'host-keys',
  'sessions',
  'config',
  'status',
  'stop',
  'login',
  'logout',
  'ssh-config',
  'skypilot',
  'plugin',
  'policy',
  'emulator',
  'completion',
] as const;
export type CommandName = (typeof COMMANDS)[number];
/** Short names of commands. */
export const ALIASES: ReadonlyMap<string, CommandName> = new Map([['ls', 'list']]);

export interface OptionSpec {
  /** Long name without dashes; unique among the options of a command. Takes a value in all commands or in none. */
  readonly name: string;
  /** One letter that stands for it: `-t`. */
  readonly short?: string;
  /** What stands for the value in help texts, unit included; undefined for a switch. */
  readonly value: string | undefined;
  /** Text that stands for the option without a value, which can then only be given as `--name=value`. */
  readonly bare?: string;
  /** May be given several times; its variable holds a comma-separated list. */
  readonly repeatable?: true;
  /** Environment variable that is used when the option is not given. */
  readonly env?: `SSM_PROXY_${string}`;
  /** Default as people read it. */
  readonly defaultText?: string;
  readonly help: string;
  readonly commands: readonly CommandName[];
}

/** Commands that look for an instance. */
export const TARGETED: readonly CommandName[] = [
  'connect',
  'resolve',
  'wait',
  'shell',
  'exec',
  'forward',
  'check',
  'host-keys',
];
/** Commands that call AWS. */
export const API: readonly CommandName[] = [...TARGETED, 'list', 'sessions'];
/** Commands that log in to SSO or out. */
export const LOGIN: readonly CommandName[] = ['login', 'logout'];
/** Commands that open a session. */
export const SESSION: readonly CommandName[] = ['connect', 'wait', 'shell', 'exec', 'forward', 'check'];
/** Commands that stay in their session. */
export const LIVE: readonly CommandName[] = ['connect', 'shell', 'exec', 'forward'];
/** Commands whose output programs can read. */
export const READABLE: readonly CommandName[] = [
  'resolve',
  'wait',
  'check',
  'host-keys',
  'exec',
  'forward',
  'list',
  'sessions',
  'config',
  'skypilot',
  'policy',
  'status',
  'stop',
  'emulator',
];
/** Commands that write a `connect` line for other programs. */
export const WRITING: readonly CommandName[] = ['ssh-config', 'skypilot'];
/** Commands that take a scope for what they write. */
export const SCOPED: readonly CommandName[] = [...WRITING, 'policy'];
