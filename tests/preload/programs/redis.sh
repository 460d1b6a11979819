# redis.sh - redis-server under redis-benchmark (bounded counts), with both kinds of persistence, a rewrite of the log
# and a background save (forks), a restart, and eviction. It listens on a socket in this test's folder only.
. "$PRELOAD_DIR/lib.sh"

server=
stop_server() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
}
trap stop_server EXIT

cli() {
    redis-cli -s "$PWD/socket" "$@"
}

start() { # options
    local i
    redis-server --port 0 --unixsocket "$PWD/socket" --dir "$PWD" --daemonize no --databases 4 --enable-debug-command yes \
        --loglevel warning --logfile server.log --save '' --appendonly yes --appendfsync no "$@" >>server.out 2>&1 &
    server=$!
    # Until it answers: a loading server says so.
    for ((i = 0; i < 600; i++)); do
        [ "$(cli ping 2>/dev/null || true)" != PONG ] || return 0
        sleep 0.1
    done
    cat server.log >&2
    return 1
}

shut_down() {
    cli shutdown >/dev/null 2>&1 || true
    wait "$server"
    echo "ended with $?"
    server=
}

load() { # requests
    redis-benchmark -s "$PWD/socket" -q -n "$1" -c 20 -P 8 -r 5000 -d 200 \
        -t set,get,incr,lpush,rpush,lpop,sadd,hset,spop,zadd,lrange_100,mset | sed -E 's/: .*//; s/.*\r//' | grep -v '^$'
}

# The benchmark's random keys differ from run to run: a data set of our own is compared.
own_data() {
    cli flushall
    awk 'BEGIN { for (i = 0; i < 30000; i++) {
        k = i * 7919 % 3001
        printf "SET str:%d %0*d\nAPPEND str:%d -%d\nLPUSH list:%d item%d\nHSET hash:%d field%d %d\nSADD set:%d %d\nZADD zset:%d %d member%d\n", k, i % 300 + 1, i, k, i, k % 100, i, k % 50, i % 500, i, k % 20, i, k % 30, i * 31 % 9973, k
        if (i % 5 == 0) printf "DEL str:%d\n", (k * 3) % 3001
        if (i % 7 == 0) printf "LTRIM list:%d 0 200\n", k % 100
    } }' | cli | sort | uniq -c | sort -rn | sed -n 1,3p
    cli eval "local s = 0; for i = 1, 20000 do s = s + #(redis.call('get', 'str:' .. i % 3001) or '') end; return s" 0
}

state() {
    cli debug digest
    cli dbsize
    cli lrange list:5 0 5
    cli zrevrange zset:7 0 5 withscores
    cli hget hash:3 field103
}

background() {
    local kind
    for kind in bgrewriteaof bgsave; do
        cli "$kind" >/dev/null
        for ((i = 0; i < 600; i++)); do
            cli info persistence | tr -d '\r' | grep -qE '_in_progress:1|_scheduled:1' || break
            sleep 0.1
        done
    done
    cli info persistence | tr -d '\r' | grep -E 'last_(bgsave|bgrewrite)_status'
    redis-check-rdb dump.rdb >check.out && echo "the dump is good"
}

# The limit follows what the server uses: below that it warns, and how much that is depends on clients' buffers.
evicting() {
    local used
    used=$(cli info memory | tr -d '\r' | sed -n 's/^used_memory://p')
    cli config set maxmemory $((used + 2000000))
    cli config set maxmemory-policy allkeys-lru
    awk 'BEGIN { for (i = 0; i < 20000; i++) printf "SET big:%d %0*d\n", i, 800, i }' | cli | sort | uniq -c
    cli config set maxmemory 0
    cli flushall
    cli dbsize
}

# Steps run in subshells: the server is started between them, so that it is this shell's child.
start
step "it runs" preloaded "$server"
step "redis-benchmark" load 20000
step "own data" own_data
step "its state" state
step "background save and log rewrite" background
state >before.restart
shut_down >ended
start
state >after.restart
step "ended well, and the same state after the restart" sh -c 'cat ended after.restart; cmp before.restart after.restart && echo same'
step "with threads and defragmentation" sh -c 'redis-cli -s socket config set lazyfree-lazy-user-del yes; redis-cli -s socket del list:1 list:2 hash:3; redis-cli -s socket flushall async; redis-cli -s socket memory purge'
step "eviction" evicting
shut_down >ended
start --io-threads 2 --io-threads-do-reads yes
step "with two threads for input and output" load 2000
step "own data again" own_data
step "its state again" state
shut_down >>ended
step "ended well" cat ended
# Warnings about the machine's settings are the same or absent; a crash report is neither.
step "the server's log and output" sh -c 'echo log; grep -viE "overcommit|transparent huge|somaxconn|jemalloc|wait" server.log | sed -E "s/^[0-9]+:[A-Z] .* [#*-] //" | sed -E "s/pid=[0-9]+/pid=N/" | sort | uniq -c; cat server.out'
