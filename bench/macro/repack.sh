#!/bin/sh
# repack.sh REPOSITORY - git: repacks a copy of the repository from nothing (delta search), then reads its history.
#
# The copy is made anew each time, so that every run does the same; one thread, so that the result is the same.
set -eu
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R "$1/." "$copy"
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
git -C "$copy" -c pack.threads=1 repack -a -d -f -q --window=20
git -C "$copy" log -p main | cksum
git -C "$copy" log --format=%s --numstat -M main -- dir1 dir2 | cksum
