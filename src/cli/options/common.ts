/** Options that most commands have. */
import type { OptionSpec } from './spec.ts';
import { API, COMMANDS, LOGIN, READABLE, TARGETED, SCOPED, WRITING } from './spec.ts';

export const COMMON_OPTIONS = [
  {
    name: 'region',
    value: 'REGION[,REGION...]|all',
    env: 'SSM_PROXY_REGION',
    defaultText: 'as the AWS CLI finds it',
    help: 'AWS region; several, or all that the account has, are searched for the target',
    commands: [...API, ...SCOPED],
  },
  {
    name: 'profile',
    value: 'NAME[,NAME...]',
    env: 'SSM_PROXY_PROFILE',
    defaultText: 'as the AWS CLI finds it',
    help: 'profile of ~/.aws/config; several are searched for the target',
    commands: [...API, ...WRITING, 'policy'],
  },
  {
    name: 'role',
    value: 'ARN|none',
    env: 'SSM_PROXY_ROLE',
    defaultText: 'none',
    help: 'role to assume with these credentials, for all calls (arn:aws:iam::...:role/NAME)',
    commands: [...API, ...WRITING, 'policy'],
  },
  {
    name: 'account',
    value: 'ID',
    env: 'SSM_PROXY_ACCOUNT',
    defaultText: 'any',
    help: 'fail unless the credentials belong to this account (twelve digits)',
    commands: [...TARGETED, 'list', ...SCOPED],
  },
  {
    name: 'endpoint-url',
    value: 'URL',
    env: 'SSM_PROXY_ENDPOINT_URL',
    defaultText: 'of the region',
    help: 'endpoint for the EC2, SSM and STS calls',
    commands: [...API, ...LOGIN, 'policy'],
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
    name: 'json',
    value: undefined,
    help: 'print JSON on one line, for programs',
    commands: READABLE,
  },
] as const satisfies readonly OptionSpec[];
