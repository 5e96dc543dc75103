/** Help of `plugin`. */
import type { CommandHelp } from './text.ts';

export const plugin: CommandHelp = {
  usage: 'plugin <install|path|uninstall>',
  summary: 'Let the AWS CLI and its like use ssm-proxy in place of session-manager-plugin',
  details:
    "install puts a file by that name into ~/.local/bin, or into --dir. What calls Amazon's plugin (aws ssm start-session, aws ecs execute-command, Ansible, SkyPilot with use_ssm) then runs its sessions on ssm-proxy. Another program's file by that name is never touched, and hidden only with --shadow. path prints where ours is; uninstall removes it.",
  examples: [
    ['ssm-proxy plugin install', 'once'],
    ['ssm-proxy plugin install --dir ~/bin --shadow', "also where Amazon's is installed"],
    ['ssm-proxy plugin path', 'for ansible_aws_ssm_plugin'],
    ['ssm-proxy plugin uninstall', 'as it was'],
  ],
};
