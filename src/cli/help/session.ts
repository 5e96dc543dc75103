/** Help of the commands that find an instance or open a session. */
import type { CommandHelp } from './text.ts';
import { TARGET } from './text.ts';

export const connect: CommandHelp = {
  usage: 'connect <target> [port]',
  summary: 'Carry stdin and stdout to a port of an instance; for ssh',
  details: `${TARGET} The port is 22 unless given, also as <target>:<port>.`,
  examples: [
    ['ProxyCommand ssm-proxy connect %h %p', 'in ~/.ssh/config; all that ssh needs'],
    ['ssm-proxy connect 10.0.1.10', 'shows the banner of its SSH server'],
    ['ssm-proxy connect 10.0.1.10 --region us-east-1,us-west-2', 'searches two regions'],
    ['ProxyCommand ssm-proxy connect %h %p --push-key --user %r', 'nodes that do not know your key'],
    ['ssm-proxy connect worker --vpc research --tag team=ml', 'tells two workers apart'],
  ],
};

export const resolve: CommandHelp = {
  usage: 'resolve <target>',
  summary: 'Say which instance a target is, and whether SSM reaches it',
  details: TARGET,
  examples: [
    ['ssm-proxy resolve 10.0.1.10', 'ID, name, addresses, state, SSM status'],
    ['ssm-proxy resolve i-0123456789abcdef0 --json', 'the same for a program'],
  ],
};

export const wait: CommandHelp = {
  usage: 'wait <target> [port]',
  summary: 'Wait until an instance runs, SSM reaches it and its port answers',
  details: `${TARGET} What may come right by itself is waited for, also an instance that does not exist yet; what cannot (permissions, credentials) ends it at once. Every session it opens is ended again.`,
  examples: [
    ['ssm-proxy wait 10.0.1.10', 'until sshd has sent its banner'],
    ['ssm-proxy wait gpu-node --timeout 10m --json', 'for a program: instance, banner, time of each stage'],
    ['ssm-proxy wait gpu-node --start-instance', 'started first, if it is stopped'],
    ['ssm-proxy wait 10.0.1.10 8080 --no-banner', 'a server that does not speak first'],
  ],
};
