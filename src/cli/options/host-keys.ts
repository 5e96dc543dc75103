/** Options of `host-keys`. */
import type { OptionSpec } from './spec.ts';

export const HOST_KEYS_OPTIONS = [
  {
    name: 'offered',
    value: 'KEY',
    help: 'the key that the server shows (%K of ssh): if it is not among the kept ones, they are read again',
    commands: ['host-keys'],
  },
  {
    name: 'refresh',
    value: undefined,
    help: 'read the keys, whether they are kept or not',
    commands: ['host-keys'],
  },
] as const satisfies readonly OptionSpec[];
