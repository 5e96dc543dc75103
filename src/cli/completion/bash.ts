/**
 * Completion for bash, from 3.2 (macOS) on, without the bash-completion package.
 *
 * Name tags are other people's text. They are compared and quoted (`printf %q`) word by word and never given to
 * `compgen -W`, which would expand `$(...)` in them. readline splits words at `:` and `=`; the script joins them again
 * and offers only what readline will put in place of the last piece.
 */
import type { CommandOffer, Offer, OptionOffer } from './model.ts';
import { valuedOptions } from './model.ts';

export function bashScript(commands: readonly CommandOffer[]): string {
  return `${HEAD}
_ssm_proxy_command() {
  case $1 in
${commands.map(({ name, options }) => `    ${name}) options='${options.map(optionWord).join(' ')}' ;;`).join('\n')}
    *) options='--help --version' ;;
  esac
}

# What can be the value of an option ($2) of a command ($1).
_ssm_proxy_value() {
  case $1:$2 in
${cases(commands.flatMap(values))}
  esac
}

# What can be the word number $2 after a command ($1).
_ssm_proxy_word() {
  case $1:$2 in
${cases(commands.flatMap(places))}
  esac
}

_ssm_proxy_takes_value() {
  case $1 in
    ${valuedOptions(commands)
      .map((name) => `--${name}`)
      .join(' | ')}) return 0 ;;
    *) return 1 ;;
  esac
}

_ssm_proxy_commands='${commands.map(({ name }) => name).join(' ')}'
${BODY}`;
}

/** A repeatable option has a `+`. */
function optionWord({ name, isRepeatable }: OptionOffer): string {
  return `--${name}${isRepeatable ? '+' : ''}`;
}

/** `command:place) what to do ;;`, one line for all places where the same is to be done. */
function cases(offers: readonly (readonly [place: string, offer: Offer])[]): string {
  const places = new Map<string, string[]>();
  for (const [place, offer] of offers) {
    const call = offerCall(offer);
    if (call !== undefined) places.set(call, [...(places.get(call) ?? []), place]);
  }
  return [...places].map(([call, names]) => `    ${names.join(' | ')}) ${call} ;;`).join('\n');
}

function values({ name: command, options }: CommandOffer): readonly (readonly [string, Offer])[] {
  return options.flatMap(({ name, value }) =>
    value === undefined ? [] : [[`${command}:--${name}`, value] as const],
  );
}

function places({ name, words, hasMore }: CommandOffer): readonly (readonly [string, Offer])[] {
  return words.flatMap((offer, index) => {
    const isRepeated = hasMore && index === words.length - 1;
    // Up to nine words in place of any number: what came before has numbers of its own.
    const number = isRepeated && index < 9 ? `[${index + 1}-9]` : String(index + 1);
    return [[`${name}:${number}`, offer] as const];
  });
}

function offerCall(offer: Offer): string | undefined {
  switch (offer.kind) {
    case 'targets':
      return '_ssm_proxy_ask complete-targets';
    case 'profiles':
      return '_ssm_proxy_ask complete-profiles';
    case 'files':
      return '_ssm_proxy_files';
    case 'words':
      return `_ssm_proxy_offer ${offer.words.join(' ')}`;
    case 'none':
      return undefined;
  }
}

const HEAD = `# Completion of ssm-proxy for bash. Made by: ssm-proxy completion bash
`;

const BODY = String.raw`
# Offers those of the given words that begin with what is typed ($cur), quoted where they need it.
_ssm_proxy_offer() {
  local item rest quoted
  for item; do
    [[ $item == "$cur"* ]] || continue
    rest=\${item#"$typed"}
    if [[ -n $quote ]]; then
      # Inside quotes only what means itself there.
      [[ $item == *[!A-Za-z0-9\ ._:/@+,-]* ]] && continue
      COMPREPLY+=("$rest")
    else
      printf -v quoted %q "$rest"
      COMPREPLY+=("$quoted")
    fi
  done
}

# Asks the program; each of its lines is a word, a tab and what it is.
_ssm_proxy_ask() {
  local line
  local -a items=()
  while IFS= read -r line; do
    items+=("\${line%%$'\t'*}")
  done < <(command ssm-proxy "$1" "$cur" "\${words[@]:1}" 2>/dev/null </dev/null)
  ((\${#items[@]})) && _ssm_proxy_offer "\${items[@]}"
}

_ssm_proxy_files() {
  local line
  compopt -o filenames 2>/dev/null
  while IFS= read -r line; do
    COMPREPLY+=("\${line#"$typed"}")
  done < <(compgen -f -- "$cur")
}

# Sets words (those before the cursor), cur (the one at it, without quotes), quote and typed (the part of cur that
# readline leaves alone).
_ssm_proxy_words() {
  local line=\${COMP_LINE:0:COMP_POINT} blank piece i
  words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    piece=\${COMP_WORDS[i]}
    blank=\${line%%[![:space:]]*}
    line=\${line#"$blank"}
    ((i == COMP_CWORD)) && piece=$line
    line=\${line#"$piece"}
    if ((\${#words[@]} > 0)) && [[ -z $blank ]]; then
      words[\${#words[@]}-1]+=$piece
    else
      words+=("$piece")
    fi
  done
  local last=$((\${#words[@]} - 1))
  cur=\${words[last]}
  unset "words[last]"
  quote=''
  typed=''
  case $cur in
    [\'\"]*) quote=\${cur:0:1} ;;
    *[:=]*)
      # Both are among readline's word breaks, unless the user has changed them.
      [[ $COMP_WORDBREAKS == *:* && $COMP_WORDBREAKS == *=* ]] && typed=\${cur%"\${cur##*[:=]}"}
      ;;
  esac
  cur=\${cur//[\\\'\"]/}
  for ((i = 0; i < \${#words[@]}; i++)); do
    words[i]=\${words[i]//[\\\'\"]/}
  done
}

_ssm_proxy() {
  local cur quote typed command='' options word number=1 i given=' '
  local -a words
  COMPREPLY=()
  _ssm_proxy_words
  for ((i = 1; i < \${#words[@]}; i++)); do
    word=\${words[i]}
    case $word in
      # What follows is taken as it is.
      --) return 0 ;;
      -*)
        given+="\${word%%=*} "
        if _ssm_proxy_takes_value "$word"; then
          i=$((i + 1))
          if ((i >= \${#words[@]})); then
            _ssm_proxy_value "\${command:-connect}" "$word"
            return 0
          fi
        fi
        ;;
      *) if [[ -z $command ]]; then command=$word; else number=$((number + 1)); fi ;;
    esac
  done
  if [[ $cur == --*=* ]]; then
    local option=\${cur%%=*}
    # As if it stood alone: readline has taken the name and the sign away.
    [[ -z $typed ]] && return 0
    typed=\${typed#"$option="}
    cur=\${cur#*=}
    _ssm_proxy_value "\${command:-connect}" "$option"
  elif [[ $cur == -* ]]; then
    _ssm_proxy_command "$command"
    for word in $options; do
      # One that is given already is offered again only if it may be repeated.
      if [[ $word == *+ ]]; then _ssm_proxy_offer "\${word%+}"
      elif [[ $given != *" $word "* ]]; then _ssm_proxy_offer "$word"
      fi
    done
  elif [[ -z $command ]]; then
    _ssm_proxy_offer $_ssm_proxy_commands
  else
    _ssm_proxy_word "$command" "$number"
  fi
  return 0
}

complete -F _ssm_proxy ssm-proxy
`.replaceAll('\\${', '${');
