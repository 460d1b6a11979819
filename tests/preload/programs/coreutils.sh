# coreutils.sh - the small tools on files of a megabyte or two: sort, uniq, join, comm, cut, paste, tr, wc, sums, split.
. "$PRELOAD_DIR/lib.sh"

lines 40000 1 >a
lines 40000 2 >b

copies() {
    mkdir -p tree/x/y/z
    cp a tree/x/y/z/a
    cp -a tree tree2
    mv tree2/x/y tree2/y
    ln -s ../a tree2/link
    find tree tree2 | sort
    rm -r tree
    ls -l --time-style=+ tree2/y/z | awk '{ print $1, $5, $6 }'
    du -b --apparent-size tree2/y/z/a
}

numbers() {
    seq 1 3 20000 | factor | tail -n 20
    seq 100000 | shuf --random-source=a | sha256sum
    seq 1000000 | tac | sed -n 1,5p
    numfmt --to=iec 123456789 987 65536
    expr 123456789012345678901234567890 \* 987654321098765432109876543210
}

split_and_join() {
    split -l 1000 a part.
    cat part.* | cmp - a && echo same
    csplit -s -f piece. a '/delta/' '{20}' && ls piece.* | wc -l
}

step "sort" sort -k 2,2 -k 1,1n a
step "sort numerically, unique, reverse" sort -rnu a b
step "sort with threads" sort --parallel=4 -S 1M -k 3 a b
step "uniq" sh -c 'cut -d " " -f 2 a | sort | uniq -c'
step "join" sh -c 'sort -k 4,4 a >a4 && sort -k 4,4 b >b4 && join -j 4 a4 b4'
step "comm" sh -c 'cut -d " " -f 2,3 a | sort -u >p && cut -d " " -f 2,3 b | sort -u >q && comm p q'
step "paste, tr, fold, nl, od" sh -c 'paste a b | tr a-z A-Z | fold -w 30 | nl | od -c | tail -n 2000'
step "wc and sums" sh -c 'wc a b && sha512sum a b && md5sum a && b2sum b && cksum a'
step "base64 there and back" sh -c 'base64 a | base64 -d | cmp - a && base32 a | sha1sum'
step "trees of files" copies
step "numbers" numbers
step "split and csplit" split_and_join
step "ls, stat, env, date, printf" sh -c 'ls -1 && stat -c "%s %F" a && env -i A=1 env && date -u -d @86400 && printf "%08.3f\n" 3.14159'
step "xargs and find" sh -c 'find /usr/share/zoneinfo -name "A*" -print0 | sort -z | xargs -0 -n 3 basename -a | sort | sha256sum'
step "grep and sed" sh -c 'grep -E "(amber|birch).*(onyx|pearl)" a; sed -n "s/\([a-z]*\) \([a-z]*\)/\2 \1/p" b | tail -n 500'
step "awk" awk '{ n[$2 " " $3] += $1; text = text substr($2, 1, 1) } END { for (k in n) print k, n[k] | "sort"; close("sort"); print length(text) }' a
step_fails 1 "a failing tool fails" sh -c 'echo before; cat a | grep nowhere'
