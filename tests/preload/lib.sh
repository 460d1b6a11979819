# tests/preload/lib.sh - what the scripts in programs/ share.
#
# A script is a list of steps. A step's output, error output and exit status are kept apart in $STEPS, and
# `run` compares them with those of the same step without the library. Whatever varies from run to run (times,
# process ids, addresses) has to be kept out of a step's output by the script.
#
#   step NAME CMD...          CMD ends with 0
#   step_fails N NAME CMD...  CMD ends with N
#   step_skipped NAME WHY     this machine cannot do it, with or without the library
#   preloaded PID             says "with the library" or stops: a process that must run under the library does

set -euo pipefail
umask 022

step_count=0

step() {
    step_fails 0 "$@"
}

step_begin() { # name; sets file
    step_count=$((step_count + 1))
    file=$STEPS/$(printf '%02d' "$step_count")-${1// /_}
}

step_skipped() {
    local file
    step_begin "$1"
    printf '%s' "$2" >"$file.skipped"
}

step_fails() {
    local promise=$1 name=$2 file status
    shift 2
    step_begin "$name"
    printf '%s' "$promise" >"$file.promise"
    # In a subshell with set -e on: a step that is a function stops at its first failing command.
    set +e
    (
        set -e
        "$@"
    ) >"$file.out" 2>"$file.err" </dev/null
    status=$?
    set -e
    printf '%s' "$status" >"$file.status"
}

preloaded() {
    if [ -z "${PRELOADED:-}" ] || grep -qF -- "$PRELOADED" "/proc/$1/maps"; then
        echo "runs as it should"
    else
        echo "the process does not have the library mapped"
        return 1
    fi
}

# lines N SEED - N lines of pseudo-random words and numbers, the same for the same seed.
lines() {
    awk -v n="$1" -v seed="$2" 'BEGIN {
        split("amber birch cedar delta ember fjord grove heron iris juniper kelp lotus maple north onyx pearl", w, " ")
        x = seed
        for (i = 0; i < n; i++) {
            x = (x * 69069 + 1) % 4294967296
            printf "%d %s %s %d\n", x, w[int(x / 65536) % 16 + 1], w[int(x / 1048576) % 16 + 1], i
        }
    }'
}
