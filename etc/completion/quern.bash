# SPDX-License-Identifier: Apache-2.0
# Completion of quern for bash (installed as share/bash-completion/completions/quern), and for zsh
# through _quern beside it.
#
# What can be typed is asked of quern's own help, so this knows each command that quern knows.

# Words that begin with a dash in a help text, from its standard input.
_quern_dashed() { grep -oE '(^|[][[:space:]|{,])--?[a-zA-Z][-a-zA-Z]*' | tr -d '][ \t|{,' | sort -u; }

# Those that begin a line: commands, where options stand behind them.
_quern_leading() { grep -oE '^[[:space:]]*\[?--?[a-zA-Z][-a-zA-Z]*' | _quern_dashed; }

# Paths of the cluster that begin with $1; directories with a slash behind. Names with blanks are left out.
_quern_paths() {
    quern fs -ls -d "${1:-/}*" 2>/dev/null |
        awk 'NF == 8 { print $8 (substr($1, 1, 1) == "d" ? "/" : "") }'
}

_quern_offer() { # WORDS
    local IFS=$' \t\n'
    COMPREPLY=($(compgen -W "$1" -- "$cur"))
    [ ${#COMPREPLY[@]} -eq 1 ] && [ "${COMPREPLY[0]%/}" != "${COMPREPLY[0]}" ] && compopt -o nospace 2>/dev/null
}

_quern_fs() {
    local command=""
    local word
    for word in "${COMP_WORDS[@]:2:$((COMP_CWORD - 2))}"; do
        case $word in -D | -conf | -fs) ;; -*) command=${word#-}; break ;; esac
    done
    case $command/$cur in
    /* ) _quern_offer "$(quern fs -usage 2>/dev/null | _quern_leading)" ;;
    help/* | usage/*) _quern_offer "$(quern fs -usage 2>/dev/null | grep $'^\t' | _quern_leading | sed 's/^-//')" ;;
    */-*) _quern_offer "$({ quern fs -usage "$command" | sed 's/.* -'"$command"'//' | _quern_dashed
                           quern fs -help "$command" | _quern_leading; } 2>/dev/null | grep -vxe "-$command")" ;;
    put/* | copyFromLocal/* | moveFromLocal/* | appendToFile/*)
        _quern_offer "$(_quern_paths "$cur")"
        COMPREPLY+=($(compgen -f -- "$cur")) ;;
    *) _quern_offer "$(_quern_paths "$cur")" ;;
    esac
}

# Keys of the configuration, each with $1 behind it.
_quern_keys() { _quern_offer "$(quern help keys 2>/dev/null | awk -v end="$1" '/^[a-z]/ && /\./ { print $1 end }')"; compopt -o nospace 2>/dev/null; }

_quern_nodes() { quern admin -report -live 2>/dev/null | awk '$1 == "Name:" { print $2 }'; }

# Words that may stand where the usage says <one | other>, nodes where it asks for one, else paths.
_quern_admin() {
    local command=${COMP_WORDS[2]} usage
    if [ "$COMP_CWORD" -eq 2 ]; then
        _quern_offer "$(quern admin -help 2>/dev/null | grep $'^\t\[-' | _quern_leading)"
        return
    fi
    usage=$(quern admin -help 2>/dev/null | grep -m 1 $'^\t\['"$command[] ]" | cut -d ' ' -f 2-)
    case $cur/$command/$usage in
    -*) _quern_offer "$(_quern_dashed <<<" $usage")" ;;
    /*/-*/*) _quern_offer "$(_quern_paths "$cur")" ;;
    */-help/*) _quern_offer "$(quern admin -help 2>/dev/null | grep $'^\t\[-' | _quern_leading | sed 's/^-//')" ;;
    */-reconfig/*) _quern_offer "namenode datanode livenodes start status properties $(_quern_nodes)" ;;
    *host:ipc_port*) _quern_offer "$(_quern_nodes)" ;;
    */-fetchImage/*) COMPREPLY=($(compgen -d -- "$cur")) ;;
    *'|'*) _quern_offer "$(tr '|<>[]' '     ' <<<"$usage")" ;;
    *) _quern_offer "$(_quern_paths "${cur:-/}")" ;;
    esac
}

_quern_console() {
    local conf=${QUERN_CONF:-$HOME/.local/share/quern/quern.conf} socket
    case $COMP_CWORD in
    2) _quern_offer "$(for socket in "${conf%/*}"/run/*.sock /run/quern/*.sock; do [ -S "$socket" ] && basename "$socket" .sock; done)" ;;
    3) _quern_offer "$(quern console "${COMP_WORDS[2]}" help 2>/dev/null | awk '{ print $1 }')" ;;
    esac
}

_quern_run() {
    case $cur in
    -*) _quern_offer "$(quern run -help 2>/dev/null | _quern_leading)" ;;
    /*) _quern_offer "$(_quern_paths "$cur")" ;;
    *)  _quern_offer "$(quern run -list 2>/dev/null | awk '{ print $1 }')"
        COMPREPLY+=($(compgen -f -X '!*.so' -- "$cur")) ;;
    esac
}

# A command, or what stands in its line of the help.
_quern_job() {
    local command=${COMP_WORDS[2]}
    case $COMP_CWORD/$cur in
    2/*) _quern_offer "$(quern job -help 2>/dev/null | _quern_leading)" ;;
    */-*) _quern_offer "$(quern job -help 2>/dev/null | grep -e "^  $command " | cut -c 4- | _quern_dashed)" ;;
    *)  _quern_offer "$(quern job -list all 2>/dev/null | awk '$1 ~ /^[0-9]+$/ { print $1 }')" ;;
    esac
}

_quern() {
    local cur=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        _quern_offer "$(quern help 2>/dev/null | awk '/^  [a-z]/ && NF > 2 { print $1 }')"
        return
    fi
    case ${COMP_WORDS[COMP_CWORD - 1]} in
    -D) _quern_keys =; return ;;
    -confKey) _quern_keys ""; return ;;
    esac
    case ${COMP_WORDS[1]} in
    fs | dfs) _quern_fs ;;
    admin | dfsadmin) _quern_admin ;;
    console) _quern_console ;;
    distcp)
        case $cur in
        -*) _quern_offer "$(quern distcp -help 2>/dev/null | _quern_dashed)" ;;
        *)  _quern_offer "$(_quern_paths "$cur")" ;;
        esac ;;
    run) _quern_run ;;
    job) _quern_job ;;
    fsck) case $cur in -*) _quern_offer "$(quern fsck -help 2>&1 | _quern_dashed)" ;; *) _quern_offer "$(_quern_paths "$cur")" ;; esac ;;
    help)
        case $cur in
        *.*) _quern_keys "" ;;
        *)   _quern_offer "keys $(quern help 2>/dev/null | awk '/^  [a-z]/ && NF > 2 { print $1 }')" ;;
        esac ;;
    *) case $cur in
        -*) _quern_offer "$(quern "${COMP_WORDS[1]}" -help 2>&1 | _quern_dashed)" ;;
        *) COMPREPLY=($(compgen -f -- "$cur")) ;;
        esac ;;
    esac
}

complete -F _quern quern
