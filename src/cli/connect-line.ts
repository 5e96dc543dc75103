/** The `connect` line that other programs keep, with the options that were given for it. */
import { proxyCommandWord } from '../ssh/config-block.ts';
import type { Environment } from './option-values.ts';
import type { OptionSpec } from './options.ts';
import { optionsOf } from './options.ts';
import { programWords } from './program-words.ts';
import type { OptionTexts } from './tokens.ts';

/** Options of `command` that `connect` has too. */
function lineOptions(command: 'ssh-config' | 'skypilot'): readonly OptionSpec[] {
  const given = optionsOf(command);
  return optionsOf('connect').filter(
    ({ name }) => name.startsWith('log-') === false && given.some((spec) => spec.name === name),
  );
}

/**
 * Plain words, each quoted only where it has to be: launchers re-split such lines and replace %h and %p in them
 * textually. Only what was given as an option goes into the line: variables and the config file hold anyway.
 */
export function connectLine(
  command: 'ssh-config' | 'skypilot',
  texts: OptionTexts,
  env: Environment,
  isAbsolute: boolean,
): string {
  const options = lineOptions(command).flatMap(({ name, bare }) =>
    (texts.get(name) ?? []).flatMap((text) => {
      if (text === bare) return [`--${name}`];
      return bare === undefined ? [`--${name}`, text] : [`--${name}=${text}`];
    }),
  );
  const words = [...programWords(env, isAbsolute), 'connect', ...options].map(proxyCommandWord);
  return [...words, '%h', '%p'].join(' ');
}
