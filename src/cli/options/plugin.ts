/** Options of `plugin`. */
import type { OptionSpec } from './spec.ts';

export const PLUGIN_OPTIONS = [
  {
    name: 'dir',
    value: 'DIRECTORY',
    defaultText: '~/.local/bin',
    help: 'folder of the file session-manager-plugin',
    commands: ['plugin'],
  },
  {
    name: 'shadow',
    value: undefined,
    help: "install it although it hides another program's session-manager-plugin on the PATH",
    commands: ['plugin'],
  },
] as const satisfies readonly OptionSpec[];
