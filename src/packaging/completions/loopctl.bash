# bash completion for loopctl, which knows its own options: see "loopctl completion --help".

_loopctl() {
    local -a words=()
    local i word own typed candidate
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        # bash takes words apart at = and : too.
        if ((${#words[@]})) && [[ -n $word && ($word == [=:]* || ${words[-1]} == *[=:]) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
    done
    own=${COMP_WORDS[COMP_CWORD]#[=:]}
    typed=${words[-1]}

    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        case $candidate in
            *'<file>')
                compopt -o filenames 2> /dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$own")
                ;;
            *'<directory>')
                compopt -o filenames 2> /dev/null
                mapfile -t COMPREPLY < <(compgen -d -- "$own")
                ;;
            *)
                [[ $candidate == *= ]] && compopt -o nospace 2> /dev/null
                COMPREPLY+=("${candidate#"${typed%"$own"}"}")
                ;;
        esac
    done < <("$1" completion candidates -- "${words[@]}" 2> /dev/null)
}

complete -F _loopctl loopctl
