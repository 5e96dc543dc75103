/** Help of `list`. */
import type { CommandHelp } from './text.ts';

export const list: CommandHelp = {
  usage: 'list [name..]',
  summary: 'List nodes by cluster: addresses, state, whether their SSM agent is online',
  details:
    'Clusters are found by the tags of SkyPilot and Ray, others by --group-by. Names are those of clusters or nodes. Several --region (or all) and --profile are asked at the same time. ls is short for list.',
  examples: [
    ['ssm-proxy list', 'all nodes of the region'],
    ['ssm-proxy list mycluster --watch', 'one cluster, live'],
    ['ssm-proxy list --region all --online', 'everywhere, what can be reached'],
    ['ssm-proxy list --group-by tag:team --json', 'for a program, by a tag of your own'],
  ],
};
