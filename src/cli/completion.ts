/** `ssm-proxy completion`: prints the script that teaches a shell the commands, options and targets. */
import { ProxyError } from '../errors.ts';
import { bashScript } from './completion/bash.ts';
import { fishScript } from './completion/fish.ts';
import type { CommandOffer, Shell } from './completion/model.ts';
import { SHELLS, commandOffers } from './completion/model.ts';
import { zshScript } from './completion/zsh.ts';
import type { CliIo } from './io.ts';
import { writeOut } from './output.ts';

const SCRIPTS: Readonly<Record<Shell, (commands: readonly CommandOffer[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Exit status. Throws USAGE for a shell that there is no script for. */
export async function runCompletion(name: string, io: CliIo): Promise<number> {
  const shell = SHELLS.find((known) => known === name);
  if (shell === undefined) {
    throw new ProxyError('USAGE', `there is no completion for ${JSON.stringify(name)}`, {
      hint: `give one of ${SHELLS.join(', ')}`,
    });
  }
  await writeOut(io.stdout, SCRIPTS[shell](commandOffers()));
  return 0;
}
