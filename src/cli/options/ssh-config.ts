/** Options of the commands that write configuration for other programs: `ssh-config`, `skypilot`. */
import type { OptionSpec } from './spec.ts';

export const WRITING_OPTIONS = [
  {
    name: 'write',
    value: undefined,
    help: 'put it where it belongs, with a copy of the file that was there; nothing happens the second time',
    commands: ['ssh-config', 'skypilot'],
  },
  {
    name: 'remove',
    value: undefined,
    help: 'take away what --write has put there',
    commands: ['ssh-config'],
  },
  {
    name: 'host',
    value: 'PATTERN',
    repeatable: true,
    defaultText: 'private ranges, IDs, EC2 names',
    help: 'hosts to reach through ssm-proxy, as in ssh_config; may be repeated',
    commands: ['ssh-config'],
  },
  {
    name: 'cluster',
    value: 'NAME',
    repeatable: true,
    help: 'also the nodes of this cluster, by name; may be repeated',
    commands: ['ssh-config'],
  },
  {
    name: 'control-master',
    value: undefined,
    help: 'let connections to one node share one session (ControlMaster of ssh)',
    commands: ['ssh-config'],
  },
  {
    name: 'no-host-keys',
    value: undefined,
    help: 'leave out the line by which ssh gets the host keys of the instances (KnownHostsCommand)',
    commands: ['ssh-config'],
  },
  {
    name: 'absolute',
    value: undefined,
    help: 'name node and the program by their paths, for programs with another PATH',
    commands: ['ssh-config', 'skypilot'],
  },
] as const satisfies readonly OptionSpec[];
