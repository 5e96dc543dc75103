/** Options of `check`, besides those of every command with a target. */
import type { OptionSpec } from './spec.ts';

export const CHECK_OPTIONS = [
  {
    name: 'fix',
    value: undefined,
    help: 'offer what can be mended from here: it is shown, asked about and done',
    commands: ['check'],
  },
] as const satisfies readonly OptionSpec[];
