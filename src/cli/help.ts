/** Texts of `--help`, apart from the options, which are in options.ts. */
import type { CommandName } from './options.ts';

export interface CommandHelp {
  /** What comes after the program's name. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly details: string;
  readonly examples: readonly (readonly [line: string, meaning: string])[];
}

export const PROGRAM_SUMMARY =
  'SSH to private EC2 nodes through AWS Systems Manager, without the AWS CLI or the Session Manager plugin.';

const TARGET =
  'A target is a private or public IP address, an instance ID (i-... or mi-...), a private DNS name or a Name tag.';

export const COMMAND_HELP: Readonly<Record<CommandName, CommandHelp>> = {
  connect: {
    usage: 'connect <target> [port]',
    summary: 'Carry stdin and stdout to a port of an instance; for ssh',
    details: `${TARGET} The port is 22 unless given, also as <target>:<port>.`,
    examples: [
      ['ProxyCommand ssm-proxy connect %h %p', 'in ~/.ssh/config; all that ssh needs'],
      ['ssm-proxy connect 10.0.1.10', 'shows the banner of its SSH server'],
      ['ssm-proxy connect 10.0.1.10 --region us-east-1,us-west-2', 'searches two regions'],
      ['ssm-proxy connect worker --vpc research --tag team=ml', 'tells two workers apart'],
    ],
  },
  resolve: {
    usage: 'resolve <target>',
    summary: 'Say which instance a target is, and whether SSM reaches it',
    details: TARGET,
    examples: [
      ['ssm-proxy resolve 10.0.1.10', 'ID, name, addresses, state, SSM status'],
      ['ssm-proxy resolve i-0123456789abcdef0 --json', 'the same for a program'],
    ],
  },
  wait: {
    usage: 'wait <target> [port]',
    summary: 'Wait until an instance runs, SSM reaches it and its port answers',
    details: `${TARGET} What may come right by itself is waited for, also an instance that does not exist yet; what cannot (permissions, credentials) ends it at once. Every session it opens is ended again.`,
    examples: [
      ['ssm-proxy wait 10.0.1.10', 'until sshd has sent its banner'],
      ['ssm-proxy wait gpu-node --timeout 10m --json', 'for a program: instance, banner, time of each stage'],
      ['ssm-proxy wait 10.0.1.10 8080 --no-banner', 'a server that does not speak first'],
    ],
  },
  sessions: {
    usage: 'sessions [action] [id..]',
    summary: 'List your sessions, live and forgotten, and end them',
    details:
      'The action is list, unless end is given. Sessions of this machine are live while the process that runs them is there, and forgotten when it was killed before it could end them; AWS also knows those of other machines and tools (elsewhere). end takes session IDs, --forgotten or --mine; live ones are ended only by ID or with --mine.',
    examples: [
      ['ssm-proxy sessions', 'what there is'],
      ['ssm-proxy sessions end --forgotten', 'clears up after a crash or a kill -9'],
      ['ssm-proxy sessions end --mine --older-than 1h', 'all that are older, live or not'],
    ],
  },
  emulator: {
    usage: 'emulator',
    summary: 'Play the AWS side on this machine, with a small private cluster',
    details: 'Stays until Ctrl-C. Listens on 127.0.0.1 only. No AWS account is needed, and none is touched.',
    examples: [
      ['ssm-proxy emulator', 'a head, two workers, an ssh config file'],
      ['ssm-proxy emulator --json --nodes 2 --tls', 'for a test: one line of JSON'],
      ['ssm-proxy emulator --ssh-target 127.0.0.1:22', 'with a real sshd'],
    ],
  },
};
