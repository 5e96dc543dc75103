/** Help of `emulator`. */
import type { CommandHelp } from './text.ts';

export const emulator: CommandHelp = {
  usage: 'emulator',
  summary: 'Play the AWS side on this machine, with a small private cluster',
  details: 'Stays until Ctrl-C. Listens on 127.0.0.1 only. No AWS account is needed, and none is touched.',
  examples: [
    ['ssm-proxy emulator', 'a head, two workers, an ssh config file'],
    ['ssm-proxy emulator --json --nodes 2 --tls', 'for a test: one line of JSON'],
    ['ssm-proxy emulator --ssh-target 127.0.0.1:22', 'with a real sshd'],
  ],
};
