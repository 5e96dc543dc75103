/** Help of `completion`. */
import type { CommandHelp } from './text.ts';

export const completion: CommandHelp = {
  usage: 'completion <bash|zsh|fish>',
  summary: 'Print the script with which a shell completes commands, options and targets',
  details:
    'Targets are those of the account, region and profile that the line so far, the environment and the config files say. They are asked for once a minute at most and kept in a file that only you can read.',
  examples: [
    ['eval "$(ssm-proxy completion bash)"', 'in ~/.bashrc'],
    ['eval "$(ssm-proxy completion zsh)"', 'in ~/.zshrc, after compinit'],
    ['ssm-proxy completion fish | source', 'in ~/.config/fish/config.fish'],
  ],
};
