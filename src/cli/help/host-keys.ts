/** Help of `host-keys`. */
import type { CommandHelp } from './text.ts';
import { TARGET } from './text.ts';

export const hostKeys: CommandHelp = {
  usage: 'host-keys <target> [port]',
  summary: 'Print the real host keys of an instance; for KnownHostsCommand of ssh',
  details: `${TARGET} The keys are read from the instance over a session, or from its console output where that is not allowed, and kept for a day by instance ID. Lines of known_hosts are printed with the host as it was asked for. What cannot be found out is said on stderr and is no failure, which would end the connection of ssh: nothing is printed then. With --json it is one.`,
  examples: [
    [
      'KnownHostsCommand /usr/local/bin/ssm-proxy host-keys --offered %K %H',
      'in ~/.ssh/config; ssh wants the whole path',
    ],
    ['ssm-proxy host-keys 10.0.1.10 --json', 'fingerprints, where they are from, and when'],
    ['ssm-proxy host-keys 10.0.1.10 --refresh', 'reads them again'],
  ],
};
