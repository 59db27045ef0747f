import type { CommandWords, Fill, OptionWords, ProgramWords } from "./command_words.ts";

/** Writes a shell's completion script; what may be typed is all in it, but for subscription ids. */
export type CompletionScript = (words: ProgramWords) => string;

/** For bash 3.2 and later, with or without the bash-completion package. */
export function bashScript({ options, commands }: ProgramWords): string {
  const filled = [
    ...options.flatMap((option) => bashValue("*", option)),
    ...commands.flatMap(({ name, options }) =>
      options.flatMap((option) => bashValue(name, option))
    ),
  ];
  return `\
# bash completion for bellhook; made by "bellhook completion bash"
_bellhook_subscriptions() {
  "\${words[0]}" "\${daemon[@]}" completion --subscriptions 2>/dev/null
}

# Bash divides words at ":" and "=" as well ($COMP_WORDBREAKS): what is together in the line is one.
_bellhook_words() {
  local line=\${COMP_LINE:0:COMP_POINT} rest word i
  words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    rest=\${line#"\${line%%[![:space:]]*}"}
    word=$rest # the one that is typed ends at the cursor
    ((i == COMP_CWORD)) || word=\${COMP_WORDS[i]}
    if ((i == 0)) || [ "$rest" != "$line" ]; then
      words+=("$word")
    else
      words[\${#words[@]}-1]+=$word
    fi
    line=\${rest#"$word"}
  done
}

# The ids that go on as $cur begins, as the shell reads them. Never by compgen -W, which expands its
# words: an id would be run.
_bellhook_ids() {
  local id spelled
  while IFS= read -r id; do
    case $cur in
      \\'*) # within quotes those alone that need no other
        [[ $id == *\\'* ]] && continue
        spelled=\\'$id ;;
      \\"*)
        [[ $id == *[\\"\\$\\\`\\\\!]* ]] && continue
        spelled=\\"$id ;;
      *) printf -v spelled %q "$id" ;;
    esac
    [[ -n $id && $spelled == "$cur"* ]] && COMPREPLY+=("$spelled")
  done <<< "$(_bellhook_subscriptions)"
}

_bellhook_fill() {
  local IFS=$'\\n'
  case $1 in
    file)
      compopt -o filenames 2>/dev/null
      COMPREPLY=($(compgen -f -- "$cur")) ;;
    subscription) _bellhook_ids ;;
    *) COMPREPLY=($(compgen -W "\${1// /$'\\n'}" -- "$cur")) ;;
  esac
  COMPREPLY=("\${COMPREPLY[@]/#/$option}")
  COMPREPLY=("\${COMPREPLY[@]#"$kept"}")
}

_bellhook() {
  local words cur prev kept option= command= daemon=() last i
  COMPREPLY=()
  _bellhook_words
  last=$((\${#words[@]} - 1))
  cur=\${words[last]} prev=\${words[last-1]}
  # Of the word only $2, its end, is replaced by what is offered.
  kept=\${cur%"$2"}
  if [[ $cur == --*=* ]]; then
    prev=\${cur%%=*} option=\${cur%%=*}= cur=\${cur#*=}
  fi
  for ((i = 1; i < last; i++)); do
    # What finds the daemon goes along where it is asked for subscriptions.
    case \${words[i]} in
      -c | --config | --url)
        ((i + 1 < last)) && daemon+=("\${words[i]}" "\${words[i+1]}")
        ((i++)) ;;
      --config=* | --url=*) daemon+=("\${words[i]}") ;;
      -*) ;;
      *) [ -n "$command" ] || command=\${words[i]} ;;
    esac
  done
  case "$command $prev" in
${filled.map(([pattern, fill]) => `    ${pattern}) _bellhook_fill ${fill}; return ;;`).join("\n")}
  esac
  [ -z "$option" ] || return
  case "$command $cur" in
    " "-*) _bellhook_fill "${namesOf(options)}"; return ;;
${
    commands.map(({ name, options: own }) =>
      `    "${name} "-*) _bellhook_fill "${namesOf([...own, ...options])}"; return ;;`
    ).join("\n")
  }
  esac
  case $command in
    "") _bellhook_fill "${commands.map(({ name }) => name).join(" ")} help" ;;
    help) _bellhook_fill "${commands.map(({ name }) => name).join(" ")}" ;;
${
    commands.filter(({ argument }) => argument.kind !== "nothing").map(({ name, argument }) =>
      `    ${name}) _bellhook_fill ${bashFill(argument)} ;;`
    ).join("\n")
  }
  esac
}

complete -F _bellhook bellhook
`;
}

function bashValue(command: string, { names, value }: OptionWords): [string, string][] {
  if (!value) return [];
  const where = command === "*" ? '*" ' : `"${command} `;
  return [[names.map((name) => `${where}${name}"`).join(" | "), bashFill(value)]];
}

function bashFill(fill: Fill): string {
  if (fill.kind === "choice") return `"${fill.choices.join(" ")}"`;
  return fill.kind === "nothing" ? '""' : fill.kind;
}

function namesOf(options: readonly OptionWords[]): string {
  return [...new Set(options.flatMap(({ names }) => names))].join(" ");
}

/** For zsh: a file named `_bellhook` in `$fpath`, or read by `source`. */
export function zshScript({ options, commands }: ProgramWords): string {
  const shared = options.map((option) => zshOption(option));
  return `\
#compdef bellhook
# zsh completion for bellhook; made by "bellhook completion zsh"
_bellhook_subscriptions() {
  local -a daemon ids
  local i
  for ((i = 2; i < $#_bellhook_words; i++)); do
    [[ $_bellhook_words[i] == (-c|--config|--url) ]] &&
      daemon+=("$_bellhook_words[i]" "\${(Q)_bellhook_words[i+1]}")
  done
  ids=("\${(@f)$("\${(Q)_bellhook_words[1]}" $daemon completion --subscriptions 2>/dev/null)}")
  compadd -- $ids
}

_bellhook() {
  local curcontext=$curcontext state line
  local -a commands _bellhook_words shared
  local -A opt_args
  _bellhook_words=($words)
  shared=(
${shared.map((line) => `    ${line}`).join("\n")}
  )
  _arguments -C $shared '1: :->command' '*:: :->rest' && return
  case $state in
    command)
      commands=(
${
    commands.map(({ name, description }) =>
      `        ${zshWord(`${name}:${description.replaceAll(":", "\\:")}`)}`
    ).join("\n")
  }
      )
      _describe command commands ;;
    rest)
      case $words[1] in
${commands.map(zshCommand).join("\n")}
      esac ;;
  esac
}

if [[ $funcstack[1] == _bellhook ]]; then
  _bellhook "$@"
else
  compdef _bellhook bellhook
fi
`;
}

function zshCommand({ name, options, argument }: CommandWords): string {
  const own = options.map((option) => `          ${zshOption(option)}`);
  const rest = argument.kind === "nothing" ? [] : [`          '*: :${zshFill(argument)}'`];
  return `\
        ${name}) _arguments -s $shared \\
${[...own, ...rest].join(" \\\n")} ;;`.replace(/ \\\n ;;$/, " ;;");
}

function zshOption({ names, description, value }: OptionWords): string {
  const text = description.replace(/[[\]\\:]/g, "\\$&");
  const tail = `[${text}]${value ? `: :${zshFill(value)}` : ""}`;
  if (names.length === 1) return zshWord(`${names[0]}${tail}`);
  return `${zshWord(`(${names.join(" ")})`)}{${names.join(",")}}${zshWord(tail)}`;
}

function zshFill(fill: Fill): string {
  switch (fill.kind) {
    case "file":
      return "_files";
    case "subscription":
      return "_bellhook_subscriptions";
    case "choice":
      return `(${fill.choices.join(" ")})`;
    case "nothing":
      return "";
  }
}

function zshWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** For fish 3 and later. */
export function fishScript({ options, commands }: ProgramWords): string {
  const names = commands.map(({ name }) => name).join(" ");
  const inNone = `not __fish_seen_subcommand_from ${names}`;
  return `\
# fish completion for bellhook; made by "bellhook completion fish"
function __bellhook_subscriptions
  set -l words (commandline -opc)
  set -l daemon
  for i in (seq 2 (count $words))
    if contains -- $words[$i] -c --config --url; and test $i -lt (count $words)
      set -a daemon $words[$i] $words[(math $i + 1)]
    end
  end
  $words[1] $daemon completion --subscriptions 2>/dev/null
end

complete -c bellhook -f
${options.map((option) => `complete -c bellhook${fishOption(option)}`).join("\n")}
${
    commands.map(({ name, description }) =>
      `complete -c bellhook -n ${fishWord(inNone)} -a ${name} -d ${fishWord(description)}`
    ).join("\n")
  }
${commands.flatMap(fishCommand).join("\n")}
`;
}

function fishCommand({ name, options, argument }: CommandWords): string[] {
  const here = `complete -c bellhook -n ${fishWord(`__fish_seen_subcommand_from ${name}`)}`;
  const lines = options.map((option) => here + fishOption(option));
  return argument.kind === "nothing" ? lines : [...lines, here + fishFill(argument)];
}

function fishOption({ names, description, value }: OptionWords): string {
  const spelled = names.map((name) =>
    name.startsWith("--") ? ` -l ${name.slice(2)}` : ` -s ${name.slice(1)}`
  );
  const takes = value ? ` -r${fishFill(value)}` : "";
  return `${spelled.join("")}${takes} -d ${fishWord(description)}`;
}

function fishFill(fill: Fill): string {
  switch (fill.kind) {
    case "file":
      return " -F";
    case "subscription":
      return " -f -a '(__bellhook_subscriptions)'";
    case "choice":
      return ` -f -a ${fishWord(fill.choices.join(" "))}`;
    case "nothing":
      return " -f";
  }
}

function fishWord(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
