/** Help of `forward`. */
import type { CommandHelp } from './text.ts';
import { TARGET } from './text.ts';

export const forward: CommandHelp = {
  usage: 'forward <target> [-- command..]',
  summary: 'Forward local ports and Unix sockets to what an instance reaches',
  details: `${TARGET} Stays until Ctrl-C, or runs the command and ends with its exit status. What listens is said on stderr; the command finds the ports in SSM_PROXY_FORWARD_PORTS, in order.`,
  examples: [
    ['ssm-proxy forward 10.0.1.10 -L 8080:80', 'http://localhost:8080 is port 80 of the instance'],
    ['ssm-proxy forward bastion -L 5432:db.internal:5432', 'a database that the instance reaches'],
    ['ssm-proxy forward bastion -L 0:db.internal:5432 -- ./migrate', 'a free port, while a command runs'],
    ['ssm-proxy forward bastion -D 1080 --sessions auto', 'a SOCKS proxy'],
  ],
};
