/** Completion for fish, from 3.0 on. What `-a '(...)'` prints is inserted quoted, with the text after a tab beside it. */
import type { CommandOffer, Offer, OptionOffer } from './model.ts';
import { HELP, valuedOptions } from './model.ts';

export function fishScript(commands: readonly CommandOffer[]): string {
  const lines = commands.flatMap((command) => {
    const condition = `__ssm_proxy_in ${command.name}`;
    return [
      '',
      `complete -c ssm-proxy -n ${quoted('__ssm_proxy_in ""')} -a ${command.name} -d ${quoted(command.summary)}`,
      ...command.options.map((option) => optionLine(option, condition)),
      ...wordLines(command),
    ];
  });
  return `# Completion of ssm-proxy for fish. Made by: ssm-proxy completion fish

# Words that are no options, without the program: the command and what follows it.
function __ssm_proxy_words
    set -l tokens (commandline -opc)
    set -l skip 1
    for token in $tokens
        if test $skip -eq 1
            set skip 0
        else if string match -q -- '-*' "$token"
            if contains -- "$token" ${valuedOptions(commands)
              .map((name) => `--${name}`)
              .join(' ')}
                set skip 1
            end
        else
            printf '%s\\n' "$token"
        end
    end
end

# True if the command is the first argument ("" for none yet) and, if there is a second, so many words follow it.
function __ssm_proxy_in
    # What follows two dashes is taken as it is.
    contains -- -- (commandline -opc); and return 1
    set -l words (__ssm_proxy_words)
    if test -z "$argv[1]"
        test (count $words) -eq 0
        return
    end
    test "$words[1]" = "$argv[1]"; or return 1
    test (count $argv) -lt 2; and return 0
    set -l count (math (count $words) - 1)
    test "$count" -eq "$argv[2]"; or test "$argv[3]" = more -a "$count" -ge "$argv[2]"
end

# Asks the program; each of its lines is a word, a tab and what it is.
function __ssm_proxy_ask
    set -l tokens (commandline -opc)
    command ssm-proxy $argv[1] (string replace -r '^--[a-z-]+=' '' -- (commandline -ct)) $tokens[2..-1] 2>/dev/null </dev/null
end

complete -c ssm-proxy -f
${optionLine(HELP, '__ssm_proxy_in ""')}
complete -c ssm-proxy -n '__ssm_proxy_in ""' -l version -d 'version'
${lines.join('\n')}
`;
}

function optionLine({ name, help, value }: OptionOffer, condition: string): string {
  const start = `complete -c ssm-proxy -n ${quoted(condition)} -l ${name}`;
  const end = `-d ${quoted(help)}`;
  if (value === undefined) return `${start} ${end}`;
  return [start, value.kind === 'files' ? '-r -F' : '-x', ...offerArguments(value), end].join(' ');
}

function wordLines({ name, words, hasMore }: CommandOffer): readonly string[] {
  return words.flatMap((offer, index) => {
    const more = hasMore && index === words.length - 1 ? ' more' : '';
    const given = offerArguments(offer);
    if (given.length === 0) return [];
    return [
      `complete -c ssm-proxy -n ${quoted(`__ssm_proxy_in ${name} ${index}${more}`)} ${given.join(' ')}`,
    ];
  });
}

function offerArguments(offer: Offer): readonly string[] {
  switch (offer.kind) {
    case 'targets':
      return ['-a', quoted('(__ssm_proxy_ask complete-targets)')];
    case 'profiles':
      return ['-a', quoted('(__ssm_proxy_ask complete-profiles)')];
    case 'words':
      return ['-a', quoted(offer.words.join(' '))];
    case 'files':
    case 'none':
      return [];
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
