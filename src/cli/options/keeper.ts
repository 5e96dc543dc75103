/** Options of `status` and `stop`. */
import type { OptionSpec } from './spec.ts';

export const KEEPER_OPTIONS = [
  {
    name: 'watch',
    value: undefined,
    help: 'show it again every second, until Ctrl-C',
    commands: ['status'],
  },
] as const satisfies readonly OptionSpec[];
