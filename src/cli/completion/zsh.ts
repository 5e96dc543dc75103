/**
 * Completion for zsh, by its own `_arguments`. Works as the file `_ssm-proxy` in a directory of fpath, and sourced after
 * compinit. `_describe` quotes what it inserts, so that a Name tag stays one word.
 */
import type { CommandOffer, Offer, OptionOffer } from './model.ts';
import { HELP } from './model.ts';

export function zshScript(commands: readonly CommandOffer[]): string {
  const rows = commands.map(({ name, summary }) => `      ${quoted(`${name}:${escaped(summary, ':')}`)}`);
  return `#compdef ssm-proxy
# Completion of ssm-proxy for zsh. Made by: ssm-proxy completion zsh

# Asks the program; each of its lines is a word, a tab and what it is.
_ssm_proxy_ask() {
  local line
  local -a items
  # What follows two dashes is taken as it is.
  (( \${words[(I)--]} && \${words[(I)--]} < CURRENT )) && return 1
  for line in \${(f)"$(command ssm-proxy $1 "\${PREFIX}" "\${(@Q)words[1,CURRENT-1]}" 2>/dev/null </dev/null)"}; do
    items+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe -t $2 \${2%s} items
}
_ssm_proxy_targets() { _ssm_proxy_ask complete-targets targets }
_ssm_proxy_profiles() { _ssm_proxy_ask complete-profiles profiles }

_ssm_proxy() {
  local curcontext=$curcontext state line
  local -a commands
  typeset -A opt_args
  _arguments -C ${optionSpecs(HELP).map(quoted).join(' ')} '(- *)--version[version]' '1: :->command' '*:: :->words'
  case $state in
    command)
      commands=(
${rows.join('\n')}
      )
      _describe -t commands command commands
      ;;
    words)
      case $words[1] in
${commands.map(commandCase).join('\n')}
      esac
      ;;
  esac
}

if [[ $funcstack[1] == _ssm-proxy ]]; then
  _ssm_proxy "$@"
elif (( $+functions[compdef] )); then
  compdef _ssm_proxy ssm-proxy
fi
`;
}

function commandCase({ name, options, words, hasMore }: CommandOffer): string {
  const specs = [
    ...options.flatMap(optionSpecs),
    ...words.map((offer, index) => {
      const isLast = index === words.length - 1;
      return `${hasMore && isLast ? '*' : String(index + 1)}:${wordName(offer)}:${action(offer)}`;
    }),
  ];
  return [
    `        ${name})`,
    `          _arguments -S \\`,
    `            ${specs.map(quoted).join(' \\\n            ')}`,
    '          ;;',
  ].join('\n');
}

function optionSpecs({ name, help, isRepeatable, value, valueName }: OptionOffer): readonly string[] {
  const once = name === 'help' ? '(- *)' : isRepeatable ? '*' : `(--${name})`;
  const description = `[${escaped(help, '[]:')}]`;
  if (value === undefined) return [`${once}--${name}${description}`];
  return [`${once}--${name}=${description}:${escaped(valueName, ':')}:${action(value)}`];
}

function wordName(offer: Offer): string {
  return offer.kind === 'targets' ? 'target' : ' ';
}

function action(offer: Offer): string {
  switch (offer.kind) {
    case 'targets':
      return '_ssm_proxy_targets';
    case 'profiles':
      return '_ssm_proxy_profiles';
    case 'files':
      return '_files';
    case 'words':
      return `(${offer.words.join(' ')})`;
    case 'none':
      return ' ';
  }
}

/** A backslash before each of `characters`, and before backslashes. */
function escaped(text: string, characters: string): string {
  return Array.from(text, (letter) =>
    letter === '\\' || characters.includes(letter) ? `\\${letter}` : letter,
  ).join('');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
