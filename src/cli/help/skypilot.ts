/** Help of `skypilot`. */
import type { CommandHelp } from './text.ts';

export const skypilot: CommandHelp = {
  usage: 'skypilot <config|check|adopt>',
  summary: 'Set SkyPilot up to reach its nodes through ssm-proxy',
  details:
    'config prints the YAML for ~/.sky/config.yaml, and merges it with --write; several --region give one line for each, and SkyPilot then launches in these only. check looks at what sky check does not: the line, the PATH, profile, permissions, the VPC and the role of the nodes; its exit status is 1 when something failed. adopt shows what to change for clusters that were launched with a line of the AWS CLI; it changes nothing. --region, --profile, --account, --vpc and --tag become part of the line, and tell check what the line leaves open.',
  examples: [
    ['ssm-proxy skypilot config', 'shows it'],
    ['ssm-proxy skypilot config --write', 'merges it, comments stay'],
    ['ssm-proxy skypilot config --region us-east-1,us-west-2', 'a line for each region'],
    ['ssm-proxy skypilot check', 'before the first launch'],
    ['ssm-proxy skypilot adopt', 'older clusters and their new lines'],
  ],
};
