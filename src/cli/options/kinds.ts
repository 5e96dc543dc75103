/** Options of `shell` and `exec`. */
import type { OptionSpec } from './spec.ts';

export const KIND_OPTIONS = [
  // No variables: SSM_PROXY_DOCUMENT and SSM_PROXY_PARAMETER are about ports.
  {
    name: 'document',
    value: 'NAME',
    defaultText: "the account's shell preferences",
    help: 'session document of your own (type Standard_Stream)',
    commands: ['shell'],
  },
  {
    name: 'document',
    value: 'NAME',
    defaultText: 'AWS-StartNonInteractiveCommand; with -t AWS-StartInteractiveCommand',
    help: 'session document of your own with a parameter `command`',
    commands: ['exec'],
  },
  {
    name: 'parameter',
    value: 'KEY=VALUE',
    repeatable: true,
    help: 'parameter of the session document; may be repeated',
    commands: ['shell', 'exec', 'forward'],
  },
  {
    name: 'tty',
    short: 't',
    value: undefined,
    help: 'run the command on a terminal, with your keys; stdout and stderr are then one',
    commands: ['exec'],
  },
  {
    name: 'all',
    value: undefined,
    help: 'on every running instance that the targets and --tag match',
    commands: ['exec'],
  },
  {
    name: 'parallel',
    value: 'N',
    defaultText: '10',
    help: 'with --all: instances at a time',
    commands: ['exec'],
  },
  {
    name: 'raw',
    value: undefined,
    help: 'give the words to the agent as they are, without the shell script that keeps bytes, stderr and status',
    commands: ['exec'],
  },
] as const satisfies readonly OptionSpec[];
