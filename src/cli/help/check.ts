/** Help of `check`. */
import type { CommandHelp } from './text.ts';
import { TARGET } from './text.ts';

export const check: CommandHelp = {
  usage: 'check [target] [port]',
  summary: 'Find out what stands between this machine and a node, and how to mend it',
  details: `Looks at the tools, the AWS configuration, the SSO login, credentials, the way to every endpoint and the permissions; with a target also at the instance, its role and agent, and opens a session to its port as connect would, which is ended again. ${TARGET} The exit status is 1 when something failed. Nothing is changed, except with --fix what somebody has agreed to.`,
  examples: [
    ['ssm-proxy check', 'before there is a node'],
    ['ssm-proxy check 10.0.1.10', 'why a node cannot be reached, or how fast it is'],
    ['ssm-proxy check 10.0.1.10 --fix', 'attach the missing policy, log in to SSO'],
    ['ssm-proxy check gpu-node --json', 'for a program'],
  ],
};
