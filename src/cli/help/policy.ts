/** Help of `policy`. */
import type { CommandHelp } from './text.ts';

export const policy: CommandHelp = {
  usage: 'policy <user|node>',
  summary: 'Print the least IAM policy for people or for nodes',
  details:
    'user is for the person or role that connects, node for the instance role, where AmazonSSMManagedInstanceCore is not wanted. --region, --account and --tag narrow what a user may reach; several --tag must all match. No AWS call is made.',
  examples: [
    ['ssm-proxy policy user', 'any instance of the account'],
    ['ssm-proxy policy user --account 111122223333 --region us-east-1 --tag team=ml', 'only these'],
    ['ssm-proxy policy user --for connect,exec --format terraform', 'also for exec, to be applied'],
    ['ssm-proxy policy node --format cloudformation', 'for the role of the nodes'],
  ],
};
