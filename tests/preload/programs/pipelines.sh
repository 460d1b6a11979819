# pipelines.sh - long pipelines: sort, xz with threads, gzip, tar, diff, awk, on some ten megabytes.
. "$PRELOAD_DIR/lib.sh"

lines 250000 3 >data

archive() {
    mkdir tree
    (cd tree && split -l 2500 -a 3 ../data part.)
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - tree | tee tree.tar | sha256sum
    tar -tvf tree.tar | tail -n 3
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -czf tree.tgz tree
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -I 'xz -2 -T2' -cf tree.txz tree
    sha256sum tree.tgz tree.txz
    mkdir back && tar -xf tree.txz -C back && diff -r tree back/tree && echo same
}

step "sort, uniq, awk, sort" sh -c 'sort -k2,3 -S 8M --parallel=2 data | cut -d " " -f 2,3 | uniq -c | awk "{ print \$1 * 2, \$3, \$2 }" | sort -rn | tee most | wc; cat most'
step "xz with two threads" sh -c 'xz -T2 -3 --block-size=1MiB -c data | tee data.xz | xz -dc -T2 | cmp - data && sha256sum data.xz && xz -l --robot data.xz | tail -n 1 | cut -f 2-5'
step "xz at its most" sh -c 'head -c 500000 data | xz -9e -T1 -c | sha256sum'
step "gzip" sh -c 'gzip -9 -n -c data | tee data.gz | gzip -dc | cmp - data && sha256sum data.gz && zcat data.gz | zgrep -c amber data.gz'
step "tar" archive
step "diff of two big files" sh -c 'awk "NR % 97 { print } NR % 89 == 0 { print \"new\", NR }" data >other; diff -u data other | sed 1,2d | tail -n 2000; diff -y --suppress-common-lines data other | wc -l'
step "a pipeline of fourteen" sh -c 'cat data | tr a-z A-Z | sed "s/AMBER/ember/g" | grep -v ONYX | rev | cut -c 1-40 | rev | paste - - - | expand | fold -w 70 | nl -ba | sort -k2,2 -s | tac | base64 -w 0 | sha256sum'
step "many small ones" sh -c 'for i in $(seq 30); do seq $i 200 | sort -R --random-source=data | xz -0 -T2 | gzip | zcat | xzcat | sort -n | sha1sum; done'
