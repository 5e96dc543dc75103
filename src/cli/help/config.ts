/** Help of `config`. */
import type { CommandHelp } from './text.ts';

export const config: CommandHelp = {
  usage: 'config show [target]',
  summary: 'Show each setting for a target, and who decided it',
  details:
    'Settings come from the command line, then from variables (SSM_PROXY_...), then from ~/.config/ssm-proxy/config.yaml (XDG_CONFIG_HOME), then from what the AWS CLI reads. Without a target it shows what holds for all. The file is not used if others may write it.',
  examples: [
    ['ssm-proxy config show', 'all settings and their sources'],
    ['ssm-proxy config show 10.1.2.3', 'as they are for this target'],
    ['ssm-proxy config show 10.1.2.3 --json', 'the same for a program'],
  ],
};
