# git.sh - a repository made here, with four hundred commits, branches, merges, a packed history: log -p, blame, gc, fsck, clone.
. "$PRELOAD_DIR/lib.sh"

export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org
export GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
git config --global init.defaultBranch main
git config --global advice.detachedHead false
git config --global core.pager cat
git config --global gc.auto 0

# The history as a stream for fast-import: every commit changes a few of sixty files.
stream() {
    awk 'BEGIN {
        split("amber birch cedar delta ember fjord grove heron iris juniper kelp lotus maple north onyx pearl", w, " ")
        x = 7
        for (c = 1; c <= 400; c++) {
            printf "commit refs/heads/main\nmark :%d\ncommitter C <c@example.org> %d +0000\ndata <<E\ncommit %d\nE\n", c, 1000000000 + c * 60, c
            if (c > 1) printf "from :%d\n", c - 1
            for (f = 0; f < 5; f++) {
                x = (x * 69069 + 1) % 4294967296
                n = int(x / 65536) % 60
                for (l = 0; l < 8; l++) {
                    x = (x * 69069 + 1) % 4294967296
                    line[n, int(x / 65536) % 150] = w[int(x / 1048576) % 16 + 1] " " x
                }
                text = ""
                for (l = 0; l < 150; l++) text = text line[n, l] "\n"
                printf "M 100644 inline dir%d/file%d.txt\ndata %d\n%s\n", n % 7, n, length(text), text
            }
        }
    }'
}

commits_by_hand() {
    local i
    git checkout -q -b side HEAD~100
    for i in 1 2 3 4 5 6; do
        lines 200 "$i" >"new$i"
        git add "new$i"
        GIT_AUTHOR_DATE="2002-01-01T00:0$i:00Z" GIT_COMMITTER_DATE="2002-01-01T00:0$i:00Z" git commit -q -m "side $i"
    done
    git checkout -q main
    GIT_AUTHOR_DATE=2002-02-01T00:00:00Z GIT_COMMITTER_DATE=2002-02-01T00:00:00Z git merge -q --no-edit side
    git log --oneline --graph -n 20
}

repack() {
    git -c pack.threads=2 gc -q --aggressive --prune=now
    git fsck --full --strict
    git count-objects -v | grep -E '^(count|in-pack|packs|garbage)'
}

cloned() {
    git clone -q --no-local . ../clone
    git -C ../clone fsck
    git -C ../clone log --format='%H %T %s' | sha256sum
    git clone -q --depth 5 "file://$PWD" ../shallow
    git -C ../shallow log --oneline
    git -C ../clone checkout -q HEAD~150
    git -C ../clone status --short --branch
}

rebased() {
    git checkout -q -b moved side
    GIT_COMMITTER_DATE=2003-01-01T00:00:00Z git rebase -q main~3 && git log --format='%H %s' -n 8
    git checkout -q main
}

mkdir repo
cd repo
step "init" git init
stream >../stream
import() {
    git fast-import --quiet <../stream
    git checkout -q main
    git rev-parse main
}
step "fast-import of 400 commits" import
step "commits, a branch, a merge" commits_by_hand
step "status and diff" sh -c 'echo changed >>dir1/file1.txt; rm new3; git status --short; git diff; git checkout -q .'
step "log -p" git log -p --stat
step "log with rename detection" git log -M -C --find-copies-harder --oneline --name-status -n 60
step "blame" git blame -s dir1/file1.txt
step "grep" git grep -n -e maple --and -e 7
step "rebase" rebased
step "gc and fsck" repack
step "clone, shallow clone, checkout" cloned
step "archive" sh -c 'git archive main | tar -tf - && git archive --format=tar.gz main | gzip -dc | sha256sum'
step "log -p from the pack" git log -p --reverse --word-diff
step "bundle" sh -c 'git bundle create -q ../b main && git bundle verify -q ../b && git ls-remote ../b'
step_fails 128 "an error of git" sh -c 'echo start; git log no-such-branch'
