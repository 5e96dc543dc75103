/** Options of `list`. */
import type { OptionSpec } from './spec.ts';

export const LIST_OPTIONS = [
  {
    name: 'group-by',
    value: 'tag:KEY',
    defaultText: "the launchers' own tags",
    help: 'the tag that names the cluster of a node',
    commands: ['list'],
  },
  {
    name: 'state',
    value: 'STATE[,STATE...]',
    defaultText: 'all but terminated ones',
    help: 'only nodes in these states: pending, running, stopping, stopped, shutting-down, terminated',
    commands: ['list'],
  },
  {
    name: 'online',
    value: undefined,
    help: 'only nodes whose SSM agent is online',
    commands: ['list'],
  },
  {
    name: 'watch',
    value: undefined,
    help: 'show it again and again, until Ctrl-C, with the time that each node takes to answer on port 22',
    commands: ['list'],
  },
  {
    name: 'interval',
    value: 'TIME',
    defaultText: '5s',
    help: 'between two looks of --watch, 1s at least',
    commands: ['list'],
  },
  {
    name: 'no-banner',
    value: undefined,
    help: 'with --watch: open no sessions to see how long each node takes to answer on port 22',
    commands: ['list'],
  },
] as const satisfies readonly OptionSpec[];
