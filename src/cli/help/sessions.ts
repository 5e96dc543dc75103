/** Help of `sessions`. */
import type { CommandHelp } from './text.ts';

export const sessions: CommandHelp = {
  usage: 'sessions [list|end] [id..]',
  summary: 'List your sessions, live and forgotten, and end them',
  details:
    'The action is list, unless end is given. Sessions of this machine are live while the process that runs them is there, and forgotten when it was killed before it could end them; AWS also knows those of other machines and tools (elsewhere). end takes session IDs, --forgotten or --mine; live ones are ended only by ID or with --mine.',
  examples: [
    ['ssm-proxy sessions', 'what there is'],
    ['ssm-proxy sessions end --forgotten', 'clears up after a crash or a kill -9'],
    ['ssm-proxy sessions end --mine --older-than 1h', 'all that are older, live or not'],
  ],
};
