/** Help of `policy`. */
import type { CommandHelp } from './text.ts';

export const policy: CommandHelp = {
  usage: 'policy <user|node|diff> [user|node] [target]',
  summary: 'Print the least IAM policy for people or for nodes, or what is missing of it',
  details:
    'user is for the person or role that connects, node for the instance role, where AmazonSSMManagedInstanceCore is not wanted. --region, --account and --tag narrow what a user may reach; several --tag must all match. diff asks IAM which of it the caller has (diff node <target>: the role of that node), by its policy simulator, or by reading the policies where that is not allowed, and prints what to add. Exit status of diff: 0 nothing is missing, 1 something is, 77 nothing is known to be, but not everything could be told. Only diff calls AWS.',
  examples: [
    ['ssm-proxy policy user', 'any instance of the account'],
    ['ssm-proxy policy user --account 111122223333 --region us-east-1 --tag team=ml', 'only these'],
    ['ssm-proxy policy user --for connect,exec --format terraform', 'also for exec, to be applied'],
    ['ssm-proxy policy user --for push-key --user ubuntu', 'also for connect --push-key, as this user'],
    ['ssm-proxy policy node --format cloudformation', 'for the role of the nodes'],
    ['ssm-proxy policy diff --for connect,shell', 'what you lack for these'],
    ['ssm-proxy policy diff node 10.0.1.10', 'what the role of this node lacks'],
  ],
};
