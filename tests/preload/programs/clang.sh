# clang.sh - clang and clang++ on this project's sources and on this folder's: objects are the same byte for byte.
. "$PRELOAD_DIR/lib.sh"

cp -r "$SOURCES" sources # the runner's copy of the project's sources
cp "$PRELOAD_DIR"/facts/*.c* "$PRELOAD_DIR"/facts/*.h "$PRELOAD_DIR"/facts/plugins/*.c sources/
cd sources

compile_own() {
    local file
    find interpose src ! -path 'src/t*' -name '*.c' | LC_ALL=C sort >list
    while read -r file; do
        if clang -std=gnu11 -D_GNU_SOURCE -I. -Isrc -Isrc/include -O2 -g \
            -c "$file" -o object.o 2>messages; then
            printf '%s %s\n' "$(sha256sum <object.o)" "$file"
        else
            printf 'does not compile: %s %s\n' "$(sha256sum <messages)" "$file"
        fi
    done <list
}

compile_known() {
    local file
    for file in *.c; do
        clang -D_GNU_SOURCE -O3 -g -fno-builtin -c "$file" -o "${file%.c}.o"
    done
    for file in *.cpp; do
        clang++ -std=gnu++17 -fsized-deallocation -O1 -c "$file" -o "${file%.cpp}.xx.o"
    done
    sha256sum -- *.o
}

step "the allocator's sources" compile_own
step "this folder's sources" compile_known
step "intermediate code" sh -c 'clang -D_GNU_SOURCE -O1 -emit-llvm -S -o - contents.c | sha256sum'
step "the syntax tree" sh -c 'clang -fsyntax-only -D_GNU_SOURCE -Xclang -ast-dump=json contents.c | sed -E "s/0x[0-9a-f]+/ADDRESS/g" | sha256sum'
step "a program" sh -c 'clang -D_GNU_SOURCE -O2 -fno-builtin -o contents contents.c && ./contents'
step "errors" sh -c 'printf "int f(int x) { return y + g(; }\n" >bad.c; clang -c bad.c 2>&1 | cat'
