// Completion for bash, zsh and fish: thin scripts that ask `__complete`, so that they never know less than the program.

export const SHELLS = ['bash', 'zsh', 'fish', 'kubectl'] as const;
export type Shell = (typeof SHELLS)[number];

const BASH = `# bash completion for diapause: source <(kubectl diapause completion bash)
__diapause() {
    local answer directive line word=\${COMP_WORDS[COMP_CWORD]}
    answer=$("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD-1}" "$word" 2>/dev/null) || return
    directive=\${answer##*:}
    COMPREPLY=()
    while IFS= read -r line; do
        line=\${line%%$'\\t'*}
        [[ $line == :* || $line != "$word"* ]] || COMPREPLY+=("$line")
    done <<<"$answer"
    if [[ $directive == 0 && \${#COMPREPLY[@]} == 0 ]]; then
        compopt -o default 2>/dev/null
    fi
}
complete -F __diapause diapause kubectl-diapause
`;

const ZSH = `#compdef diapause kubectl-diapause
# zsh completion for diapause: source <(kubectl diapause completion zsh)
_diapause() {
    local -a lines candidates
    local line directive
    lines=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
    for line in $lines; do
        case $line in
            :*) directive=\${line#:} ;;
            ?*) candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}\${line[(r)$'\\t']:+:\${line#*$'\\t'}}") ;;
        esac
    done
    if (( \${#candidates} )); then
        _describe 'diapause' candidates
    elif [[ $directive == 0 ]]; then
        _files
    fi
}
compdef _diapause diapause kubectl-diapause
`;

const FISH = `# fish completion for diapause: kubectl diapause completion fish | source
function __diapause_complete
    set -l words (commandline -opc)
    set -l answer ($words[1] __complete $words[2..] (commandline -ct) 2>/dev/null)
    for line in $answer
        string match -q ':*' -- $line; or echo $line
    end
    if test "$answer[-1]" = ':0'; and test (count $answer) -eq 1
        __fish_complete_path (commandline -ct)
    end
end
for program in diapause kubectl-diapause
    complete -c $program -f -a '(__diapause_complete)'
end
`;

/** kubectl calls a program of this name when it completes the words behind \`kubectl diapause\`. */
const KUBECTL = `#!/bin/sh
# Put this as the executable kubectl_complete-diapause on your PATH: then kubectl's own completion knows the plugin.
exec kubectl-diapause __complete "$@"
`;

export const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: BASH,
  zsh: ZSH,
  fish: FISH,
  kubectl: KUBECTL,
};
