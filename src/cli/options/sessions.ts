/** Options of `sessions`. */
import type { OptionSpec } from './spec.ts';

export const SESSIONS_OPTIONS = [
  {
    name: 'mine',
    value: undefined,
    help: 'sessions end: all of yours, also live ones of this and other machines',
    commands: ['sessions'],
  },
  {
    name: 'forgotten',
    value: undefined,
    help: 'sessions end: those whose process on this machine has gone without ending them',
    commands: ['sessions'],
  },
  {
    name: 'older-than',
    value: 'TIME',
    help: 'sessions end: only those of --mine or --forgotten that are at least so old, such as 1h',
    commands: ['sessions'],
  },
  {
    name: 'dry-run',
    value: undefined,
    help: 'sessions end: say what would be ended, and end nothing',
    commands: ['sessions'],
  },
] as const satisfies readonly OptionSpec[];
