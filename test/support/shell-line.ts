/**
 * What a person has on the line after typing some keys into a real interactive shell: the shell runs on a
 * pseudo-terminal (`script`), reads the completion script as its rc file would, and shows its line when asked by Ctrl-G.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { until } from './until.ts';

/** Sets up the shell, and makes Ctrl-G print `LINE<...>`. `READY` comes when keys are read. */
const SETUP = {
  bash: (script: string) => `PS1='READY> '
eval "$(cat ${script})"
bind 'set bell-style none'
bind -x '"\\C-g": printf "\\nLINE<%s>\\n" "$READLINE_LINE"'
`,
  zsh: (script: string) => `PS1='READY> '
autoload -Uz compinit && compinit -u -D
eval "$(cat ${script})"
unsetopt beep
show-line() { print -r -- $'\\n'"LINE<$BUFFER>" }
zle -N show-line
bindkey '^G' show-line
`,
} as const;

export interface ShellLines {
  /** The line after these keys; the next one starts empty. */
  type(keys: string): Promise<string>;
  close(): Promise<void>;
}

/** `script`: file with the completion script. The program is the built one, as `ssm-proxy` on the PATH. */
export async function startShell(
  cluster: Cluster,
  shell: keyof typeof SETUP,
  script: string,
): Promise<ShellLines> {
  const folder = join(cluster.directory, `${shell}-home`);
  mkdirSync(folder);
  const rcFile = join(folder, shell === 'bash' ? 'bashrc' : '.zshrc');
  writeFileSync(rcFile, SETUP[shell](script));
  const command = shell === 'bash' ? `bash --noprofile --rcfile ${rcFile} -i` : 'zsh -i';
  const program = cluster.start('script', ['-qefc', `exec ${command}`, '/dev/null'], {
    keepsInput: true,
    env: {
      PATH: `${programFolder(cluster)}:${cluster.env['PATH'] ?? ''}`,
      ZDOTDIR: folder,
      TERM: 'xterm',
      COLUMNS: '200',
    },
  });
  await until('the shell has a prompt', () => program.outputSoFar().includes('READY>'));
  return {
    async type(keys) {
      const before = program.outputSoFar().length;
      program.stdin.write(`${keys}\x07`);
      const line = await until(`the shell shows its line after ${JSON.stringify(keys)}`, () => {
        const [, found] = /LINE<([^\r\n]*)>/.exec(program.outputSoFar().slice(before)) ?? [];
        return found === undefined ? undefined : { found };
      });
      program.stdin.write('\x01\x0b');
      return line.found;
    },
    async close() {
      program.stdin.write('\x01\x0bexit\r');
      await program.finished;
    },
  };
}

/** A folder with `ssm-proxy`, as npm would link it. */
export function programFolder(cluster: Cluster): string {
  const folder = join(cluster.directory, 'bin');
  mkdirSync(folder, { recursive: true });
  const [node, script] = cluster.cliCommand;
  writeFileSync(join(folder, 'ssm-proxy'), `#!/bin/sh\nexec '${node}' '${script}' "$@"\n`, { mode: 0o755 });
  return folder;
}
