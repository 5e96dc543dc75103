/** Options of `policy`. */
import type { OptionSpec } from './spec.ts';

export const POLICY_OPTIONS = [
  {
    name: 'format',
    value: 'json|terraform|cloudformation',
    defaultText: 'json',
    help: 'how the policy is written',
    commands: ['policy'],
  },
  {
    name: 'for',
    value: 'USE[,USE...]',
    defaultText: 'connect',
    help: 'what it has to allow: connect, shell, exec, forward, host-keys; push-key, start-instance: connect with that option',
    commands: ['policy'],
  },
] as const satisfies readonly OptionSpec[];
