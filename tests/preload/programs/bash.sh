# bash.sh - bash itself: arrays, strings, arithmetic, functions, subshells, traps, here-documents, coprocesses, jobs.
. "$PRELOAD_DIR/lib.sh"

arrays() {
    local -a list=() sorted
    local -A map=()
    local i key
    for ((i = 0; i < 20000; i++)); do
        list+=("item $((i * 7919 % 20011))")
        map[${list[i]#item }]=$i
    done
    echo "${#list[@]} ${#map[@]} ${list[12345]} ${map[4242]:-none}"
    list=("${list[@]:5000:10000}")
    mapfile -t sorted < <(printf '%s\n' "${list[@]}" | sort)
    printf '%s\n' "${sorted[@]}" | tail -n 300
    for key in "${!map[@]}"; do unset "map[$key]"; done
    echo "${#map[@]}"
}

strings() {
    local text=abc i
    for i in {1..14}; do text=$text${text//b/xyz}; done
    echo "${#text}"
    text=${text//xyz/-}
    echo "${#text} ${text:1000:50} ${text^^}" | cut -c 1-300
    [[ $text =~ (a-c)(a-c) ]] && echo "${BASH_REMATCH[*]}"
    printf -v text '%s,' {1..5000}
    IFS=, read -ra i <<<"$text"
    echo "${#i[@]}"
    printf '%q ' 'a b' $'tab\there' "it's"
}

recursion() {
    fib() { if (($1 < 2)); then echo "$1"; else echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); fi; }
    fib 10
    deep() { local here=$1; (($1 == 0)) || deep $(($1 - 1)); [ "$here" = "$1" ] || echo wrong; }
    deep 800
    echo done
}

processes() {
    local i sum=0 line
    for i in {1..40}; do (echo "$((i * i))") & done >out.$$
    wait
    while read -r line; do sum=$((sum + line)); done <out.$$
    echo "$sum"
    coproc BACK { while read -r line; do echo "<$line>"; done; }
    for i in one two three; do
        echo "$i" >&"${BACK[1]}"
        read -r line <&"${BACK[0]}"
        echo "$line"
    done
    exec {BACK[1]}>&-
    wait
    trap 'echo trapped' USR1
    kill -USR1 "$BASHPID"
    diff <(seq 10) <(seq 2 11) || true
    cat <<END
$(for i in {1..300}; do echo "line $i of a here-document"; done)
END
}

step "arrays" arrays
step "strings" strings
step "recursion" recursion
step "processes" processes
step "a script of a thousand functions" bash -c 'for i in {1..1000}; do eval "f$i() { echo \$((\$1 + $i)); }"; done; for i in {1..1000}; do f$i $i; done'
step "three hundred short programs" bash -c 'for i in {1..100}; do true; /bin/true; /bin/echo $i | cat; done'
step_fails 3 "exit status" bash -c 'echo leaving; exit 3'
step "under ulimit -v" bash -c 'ulimit -v 65536; for i in {1..50}; do ls -d /usr; done; seq 1000 | sort -n | tail -n 3; seq 3000 | awk "{ s += \$1 } END { print s }"'
