/** Help of `login` and `logout`. */
import type { CommandHelp } from './text.ts';

export const login: CommandHelp = {
  usage: 'login',
  summary: 'Log in to IAM Identity Center (SSO), for this and every other AWS tool',
  details:
    'Does what aws sso login does, without the AWS CLI: the login is kept where the AWS CLI, boto3 and SkyPilot find it. A browser on this machine is opened; over SSH, or with --no-browser, a page and a code are shown for a browser anywhere. --configure also asks what aws configure sso asks, and adds the answers to ~/.aws/config (the text before is kept in config.before-ssm-proxy).',
  examples: [
    ['ssm-proxy login --profile research', 'the login that this profile takes its credentials from'],
    ['ssm-proxy login', 'that of AWS_PROFILE or the default profile'],
    ['ssm-proxy login --no-browser', 'on a server: a page and a code'],
    ['ssm-proxy login --configure', 'the first time: start URL, region, account, role'],
  ],
};

export const logout: CommandHelp = {
  usage: 'logout',
  summary: 'End an SSO login, on this machine and at the service',
  details:
    'Role credentials that a running program already has stay good until they expire; nobody can take them back.',
  examples: [
    ['ssm-proxy logout --profile research', 'the login of one profile'],
    ['ssm-proxy logout --all', 'every login of this machine'],
  ],
};
