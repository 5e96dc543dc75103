/** Help of `ssh-config`. */
import type { CommandHelp } from './text.ts';

export const sshConfig: CommandHelp = {
  usage: 'ssh-config',
  summary: 'Print, write or remove the part of ~/.ssh/config that uses ssm-proxy',
  details:
    'With --write it goes to a file of its own, ~/.ssh/ssm-proxy.conf, and one Include line to the top of ~/.ssh/config. --region, --profile, --account, --vpc and --tag become part of the ProxyCommand and of the KnownHostsCommand, which gives ssh the real host keys; --share, --push-key and --start-instance of the former alone.',
  examples: [
    ['ssm-proxy ssh-config', 'shows it'],
    ['ssm-proxy ssh-config --write', 'from now on: ssh ubuntu@10.0.1.10'],
    ["ssm-proxy ssh-config --host '10.1.*' --host '!10.1.9.*' --profile research", 'only these'],
    ['ssm-proxy ssh-config --push-key --write', 'with your key pushed at each login'],
    ['ssm-proxy ssh-config --remove', 'as it was before'],
  ],
};
