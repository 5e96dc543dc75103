/** Help of `status` and `stop`. */
import type { CommandHelp } from './text.ts';

export const status: CommandHelp = {
  usage: 'status',
  summary: 'Show the sessions that connections share (connect --share)',
  details: 'One background process keeps them. Exit status 0 if it runs, 3 if there is none.',
  examples: [
    ['ssm-proxy status', 'nodes, sessions, streams, bytes, round-trip time'],
    ['ssm-proxy status --watch', 'again every second'],
    ['ssm-proxy status --json', 'for programs'],
  ],
};

export const stop: CommandHelp = {
  usage: 'stop',
  summary: 'End the shared sessions and the process that keeps them',
  details: 'Connections that ride on them end. The next connect --share starts anew.',
  examples: [['ssm-proxy stop', 'ends them all']],
};
