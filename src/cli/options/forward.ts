/** Options of `forward`. */
import type { OptionSpec } from './spec.ts';

export const FORWARD_OPTIONS = [
  {
    name: 'local',
    short: 'L',
    value: '[BIND:]PORT:[HOST:]HOSTPORT',
    repeatable: true,
    help: 'listen on PORT (0: a free one) or a Unix socket, and reach HOSTPORT of the node, or of a HOST it reaches',
    commands: ['forward'],
  },
  {
    name: 'dynamic',
    short: 'D',
    value: '[BIND:]PORT',
    repeatable: true,
    help: 'listen as a SOCKS 5 proxy to whatever the node reaches',
    commands: ['forward'],
  },
  {
    name: 'sessions',
    value: 'N|auto',
    env: 'SSM_PROXY_SESSIONS',
    defaultText: '1',
    help: 'sessions per destination, up to 16: each carries about 1 MB/s; auto adds some while they are busy',
    commands: ['forward'],
  },
  {
    name: 'document',
    value: 'NAME',
    defaultText: 'AWS-StartPortForwardingSession, ...ToRemoteHost',
    help: 'session document of your own (type Port, LocalPortForwarding)',
    commands: ['forward'],
  },
] as const satisfies readonly OptionSpec[];
