/** Options of `emulator`. */
import type { OptionSpec } from './spec.ts';

export const EMULATOR_OPTIONS = [
  {
    name: 'nodes',
    value: 'N',
    defaultText: '3',
    help: 'number of instances: one head, the rest workers',
    commands: ['emulator'],
  },
  {
    name: 'port',
    value: 'PORT',
    defaultText: 'a free one',
    help: 'port of the AWS endpoint on 127.0.0.1',
    commands: ['emulator'],
  },
  {
    name: 'tls',
    value: undefined,
    help: 'serve https and wss with a throwaway certificate authority',
    commands: ['emulator'],
  },
  {
    name: 'ssh-target',
    value: 'HOST:PORT',
    defaultText: 'the built-in SSH server',
    help: 'SSH server behind the first instance, for example a real sshd',
    commands: ['emulator'],
  },
  {
    name: 'region',
    value: 'REGION',
    defaultText: 'us-east-1',
    help: 'region that is played',
    commands: ['emulator'],
  },
] as const satisfies readonly OptionSpec[];
