/** The lines of ours that other programs keep, with the options that were given for them. */
import { knownHostsCommandWord, proxyCommandWord } from '../ssh/config-block.ts';
import type { Environment } from './option-values.ts';
import type { OptionSpec } from './options.ts';
import { optionsOf } from './options.ts';
import { absoluteWords, programWords } from './program-words.ts';
import type { OptionTexts } from './tokens.ts';

type Keeping = 'ssh-config' | 'skypilot';

/** Options of `command` that the program in the line has too. */
function lineOptions(command: Keeping, started: 'connect' | 'host-keys'): readonly OptionSpec[] {
  const given = optionsOf(command);
  return optionsOf(started).filter(
    ({ name }) => name.startsWith('log-') === false && given.some((spec) => spec.name === name),
  );
}

/**
 * Plain words, each quoted only where it has to be: launchers re-split such lines and replace %h and %p in them
 * textually (%r only where a key is pushed, which no launcher asks for). Only what was given as an option goes into the
 * line: variables and the config file hold anyway.
 */
export function connectLine(
  command: Keeping,
  texts: OptionTexts,
  env: Environment,
  isAbsolute: boolean,
): string {
  const options = optionWords(lineOptions(command, 'connect'), texts);
  const words = [...programWords(env, isAbsolute), 'connect', ...options].map(proxyCommandWord);
  // ssh knows for whom it logs in, on every system.
  const user = texts.has('push-key') ? ['--user', '%r'] : [];
  return [...words, ...user, '%h', '%p'].join(' ');
}

/** For KnownHostsCommand, where ssh takes whole paths only, and no shell reads the line. */
export function hostKeysLine(texts: OptionTexts, env: Environment, isAbsolute: boolean): string {
  const options = optionWords(lineOptions('ssh-config', 'host-keys'), texts);
  const words = [...absoluteWords(env, isAbsolute), 'host-keys', ...options].map(knownHostsCommandWord);
  return [...words, '--offered', '%K', '%H'].join(' ');
}

function optionWords(options: readonly OptionSpec[], texts: OptionTexts): readonly string[] {
  return options.flatMap(({ name, bare }) =>
    (texts.get(name) ?? []).flatMap((text) => {
      if (text === bare) return [`--${name}`];
      return bare === undefined ? [`--${name}`, text] : [`--${name}=${text}`];
    }),
  );
}
