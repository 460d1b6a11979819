# nebmalloc.bash - completion for bash.
_nebmalloc() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    local commands='run report top tree flame leaks lifetimes sizes threads realloc frag diff export annotate ctl'
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$word"; compgen -f -X '!*.nbt' -- "$word")
        return
    fi
    case $before in
        -m | --mode) [ "$command" = run ] && mapfile -t COMPREPLY < <(compgen -W 'off sample profile trace check' -- "$word") && return ;;
        -s | --sort) mapfile -t COMPREPLY < <(compgen -W 'peak bytes count leaked leaked-blocks lifetime temporary' -- "$word") && return ;;
        -f | --format)
            mapfile -t COMPREPLY < <(compgen -W 'folded pprof gperftools heaptrack dhat massif speedscope perfetto callgrind csv json html' -- "$word")
            return
            ;;
        --color) mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$word") && return ;;
        -o | --output) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
    esac
    case $command in
        run)
            if [[ $word == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '--mode --output --children --option --no-summary --help' -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -c -- "$word"; compgen -f -- "$word")
            fi
            ;;
        ctl)
            if [ "$COMP_CWORD" -eq 2 ]; then
                mapfile -t COMPREPLY < <(compgen -W "$(cd /proc && echo [0-9]*)" -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -W 'start stop dump stats leaks mark' -- "$word")
            fi
            ;;
        *)
            if [[ $word == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '--json --sort --limit --depth --min --format --output --fail-on --color --help' -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -f -X '!*.nbt' -- "$word"; compgen -d -- "$word")
            fi
            ;;
    esac
}
complete -o filenames -F _nebmalloc nebmalloc
