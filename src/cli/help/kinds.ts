/** Help of the commands for sessions of other kinds than to a port. */
import type { CommandHelp } from './text.ts';
import { TARGET } from './text.ts';

export const shell: CommandHelp = {
  usage: 'shell <target>',
  summary: 'Open a shell on an instance, without sshd or keys there',
  details: `${TARGET} On a terminal, ~. at the start of a line ends the session and ~? lists the other escapes. Without one, stdin is typed into the shell, and its end as Ctrl-D; for scripts, exec is better. The status of the remote shell is not known to Session Manager: 0 says that it has ended.`,
  examples: [
    ['ssm-proxy shell 10.0.1.10', 'as the shell preferences of the account say'],
    ['ssm-proxy shell gpu-node --document My-Shell', 'with a session document of your own'],
  ],
};

export const exec: CommandHelp = {
  usage: 'exec <target..> -- <command..>',
  summary: 'Run a command on an instance, or on many',
  details: `${TARGET} One word after -- is a line for the shell there; several words are a program and its arguments, exactly. stdout, stderr and exit status are those of the command, whatever bytes it writes. stdin is not passed on except with -t, as the non-interactive document has none; nor is output before the command ends, unless the document separates the streams.`,
  examples: [
    ['ssm-proxy exec 10.0.1.10 -- nvidia-smi -L', 'program and arguments'],
    ["ssm-proxy exec 10.0.1.10 -- 'df -h | tail -1'", 'a line for the shell'],
    ['ssm-proxy exec -t gpu-node -- htop', 'on a terminal'],
    ['ssm-proxy exec --all --tag cluster=train -- uptime', 'on all instances with the tag'],
  ],
};
