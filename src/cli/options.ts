/**
 * Every option of every command, once: the parser, yargs, `--help` and the README's table are made from this list.
 *
 * Options of `connect` and their variables are frozen: launchers store the line in a cluster's ssh config and run it
 * for as long as the cluster lives. New ones may be added, none may change its meaning.
 */

export const COMMANDS = ['connect', 'resolve', 'wait', 'sessions', 'emulator'] as const;
export type CommandName = (typeof COMMANDS)[number];

export interface OptionSpec {
  /** Long name without dashes; unique among the options of a command. Takes a value in all commands or in none. */
  readonly name: string;
  /** What stands for the value in help texts, unit included; undefined for a switch. */
  readonly value: string | undefined;
  /** May be given several times; its variable holds a comma-separated list. */
  readonly repeatable?: true;
  /** Environment variable that is used when the option is not given. */
  readonly env?: `SSM_PROXY_${string}`;
  /** Default as people read it. */
  readonly defaultText?: string;
  readonly help: string;
  readonly commands: readonly CommandName[];
}

const AWS: readonly CommandName[] = ['connect', 'resolve', 'wait'];
/** Commands that call AWS. */
const API: readonly CommandName[] = [...AWS, 'sessions'];
/** Commands that open a session. */
const SESSION: readonly CommandName[] = ['connect', 'wait'];

export const OPTIONS = [
  {
    name: 'region',
    value: 'REGION[,REGION...]',
    env: 'SSM_PROXY_REGION',
    defaultText: 'as the AWS CLI finds it',
    help: 'AWS region; several are searched for the target',
    commands: API,
  },
  {
    name: 'profile',
    value: 'NAME',
    env: 'SSM_PROXY_PROFILE',
    defaultText: 'as the AWS CLI finds it',
    help: 'profile of ~/.aws/config',
    commands: API,
  },
  {
    name: 'endpoint-url',
    value: 'URL',
    env: 'SSM_PROXY_ENDPOINT_URL',
    defaultText: 'of the region',
    help: 'endpoint for the EC2, SSM and STS calls',
    commands: API,
  },
  {
    name: 'ssmmessages-endpoint',
    value: 'URL',
    env: 'SSM_PROXY_SSMMESSAGES_ENDPOINT',
    defaultText: 'what StartSession returns',
    help: 'host for the data channel, in place of the one that StartSession returns',
    commands: SESSION,
  },
  {
    name: 'vpc',
    value: 'ID|NAME',
    env: 'SSM_PROXY_VPC',
    help: 'only instances in this VPC (vpc-... or its Name tag)',
    commands: AWS,
  },
  {
    name: 'tag',
    value: 'KEY=VALUE',
    repeatable: true,
    env: 'SSM_PROXY_TAG',
    help: 'only instances with this tag; may be repeated',
    commands: AWS,
  },
  {
    name: 'document',
    value: 'NAME',
    env: 'SSM_PROXY_DOCUMENT',
    defaultText: 'AWS-StartSSHSession',
    help: 'session document of your own (type Port)',
    commands: SESSION,
  },
  {
    name: 'parameter',
    value: 'KEY=VALUE',
    repeatable: true,
    env: 'SSM_PROXY_PARAMETER',
    help: 'parameter of the session document; may be repeated',
    commands: SESSION,
  },
  {
    name: 'connect-timeout',
    value: 'SECONDS',
    env: 'SSM_PROXY_CONNECT_TIMEOUT',
    defaultText: 'ConnectTimeout of ssh, or 30s',
    help: 'time until the first byte from the port: 30, 30s or 2m',
    commands: ['connect'],
  },
  {
    name: 'resume-timeout',
    value: 'TIME',
    env: 'SSM_PROXY_RESUME_TIMEOUT',
    defaultText: '10m',
    help: 'how long a lost connection may take to come back before the session is given up',
    commands: ['connect'],
  },
  {
    name: 'renew-after',
    value: 'TIME',
    env: 'SSM_PROXY_RENEW_AFTER',
    defaultText: '50m',
    help: 'age from which the WebSocket is renewed in a quiet moment; the service cuts it at about 60m',
    commands: ['connect'],
  },
  {
    name: 'ping-interval',
    value: 'TIME',
    env: 'SSM_PROXY_PING_INTERVAL',
    defaultText: '25s',
    help: 'between two WebSocket pings; an answer that stays out means a lost connection',
    commands: ['connect'],
  },
  {
    name: 'timeout',
    value: 'SECONDS',
    env: 'SSM_PROXY_TIMEOUT',
    defaultText: '5m',
    help: 'time for everything: 300, 300s or 5m',
    commands: ['wait'],
  },
  {
    name: 'no-banner',
    value: undefined,
    help: 'an accepted connection is enough: for ports where the client speaks first',
    commands: ['wait'],
  },
  {
    name: 'start-rate',
    value: 'N',
    env: 'SSM_PROXY_START_RATE',
    defaultText: '3',
    help: 'StartSession calls per second from this machine, all processes together; 0: no limit',
    commands: SESSION,
  },
  {
    name: 'pace',
    value: 'safe|off|N',
    env: 'SSM_PROXY_PACE',
    defaultText: 'safe',
    help: 'uploads: safe (900), off, or N messages of 1 KiB per second',
    commands: ['connect'],
  },
  {
    name: 'log-level',
    value: 'LEVEL',
    env: 'SSM_PROXY_LOG_LEVEL',
    defaultText: 'no log; info with --log-file',
    help: 'log error, warn, info, debug or trace events, to stderr without --log-file',
    commands: COMMANDS,
  },
  {
    name: 'log-file',
    value: 'PATH',
    env: 'SSM_PROXY_LOG_FILE',
    help: 'append the log to this file (mode 0600)',
    commands: COMMANDS,
  },
  {
    name: 'quiet',
    value: undefined,
    env: 'SSM_PROXY_QUIET',
    help: 'no status line on a terminal while connecting',
    commands: SESSION,
  },
  {
    name: 'mine',
    value: undefined,
    help: 'sessions end: all of yours, also live ones of this and other machines',
    commands: ['sessions'],
  },
  {
    name: 'forgotten',
    value: undefined,
    help: 'sessions end: those whose process on this machine has gone without ending them',
    commands: ['sessions'],
  },
  {
    name: 'older-than',
    value: 'TIME',
    help: 'sessions end: only those of --mine or --forgotten that are at least so old, such as 1h',
    commands: ['sessions'],
  },
  {
    name: 'dry-run',
    value: undefined,
    help: 'sessions end: say what would be ended, and end nothing',
    commands: ['sessions'],
  },
  {
    name: 'nodes',
    value: 'N',
    defaultText: '3',
    help: 'number of instances: one head, the rest workers',
    commands: ['emulator'],
  },
  {
    name: 'port',
    value: 'PORT',
    defaultText: 'a free one',
    help: 'port of the AWS endpoint on 127.0.0.1',
    commands: ['emulator'],
  },
  {
    name: 'tls',
    value: undefined,
    help: 'serve https and wss with a throwaway certificate authority',
    commands: ['emulator'],
  },
  {
    name: 'ssh-target',
    value: 'HOST:PORT',
    defaultText: 'the built-in SSH server',
    help: 'SSH server behind the first instance, for example a real sshd',
    commands: ['emulator'],
  },
  {
    name: 'region',
    value: 'REGION',
    defaultText: 'us-east-1',
    help: 'region that is played',
    commands: ['emulator'],
  },
  {
    name: 'json',
    value: undefined,
    help: 'print JSON on one line, for programs',
    commands: ['resolve', 'wait', 'sessions', 'emulator'],
  },
] as const satisfies readonly OptionSpec[];

export type OptionName = (typeof OPTIONS)[number]['name'];

/** The options of one command, in the order of the list. */
export function optionsOf(command: CommandName): readonly OptionSpec[] {
  const all: readonly OptionSpec[] = OPTIONS;
  return all.filter((option) => option.commands.includes(command));
}
