# gcc.sh - gcc compiles this project's own sources, with and without optimisation and debug information, and links:
# objects, assembly, preprocessed text and programs are the same byte for byte.
. "$PRELOAD_DIR/lib.sh"

# The runner took a copy of the project's sources before both runs: nobody edits it, and paths in objects are equal.
cp -r "$SOURCES" sources
cp "$PRELOAD_DIR"/facts/*.c "$PRELOAD_DIR"/facts/*.h "$PRELOAD_DIR"/facts/plugins/*.c sources/
cd sources

# A file that does not compile (it needs what the build configures) must fail in the same way: its errors are compared.
compile_own() { # flags where...
    local flags=$1 file
    shift
    find "$@" -name '*.c' | LC_ALL=C sort >list
    while read -r file; do
        # shellcheck disable=SC2086 # several flags
        if gcc -std=gnu11 -D_GNU_SOURCE -I. -Isrc -Isrc/include $flags -c "$file" -o object.o 2>messages; then
            printf '%s %s\n' "$(sha256sum <object.o)" "$file"
        else
            printf 'does not compile: %s %s\n' "$(sha256sum <messages)" "$file"
        fi
    done <list
}

# The test's own sources need nothing: they must compile.
compile_known() {
    local file
    for file in *.c; do
        gcc -D_GNU_SOURCE -O3 -g -fno-builtin -c "$file" -o "${file%.c}.o"
    done
    sha256sum -- *.o
}

program() {
    gcc -D_GNU_SOURCE -O2 -flto=2 -pthread -o contents contents.c
    sha256sum contents
    ./contents
    gcc -D_GNU_SOURCE -O2 -shared -fPIC -o plugin.so plugin.c
    nm -D --defined-only plugin.so | cut -c 18-
    ar rcs all.a ./*.o && nm all.a | grep -c ' T '
    strip -o stripped contents && objdump -d stripped | sha256sum
}

big() {
    awk 'BEGIN {
        print "#include <stdio.h>\n#include <string.h>"
        for (i = 0; i < 250; i++) {
            printf "struct s%d { int a[%d]; double b; const char *c; };\n", i, i % 37 + 1
            printf "static int f%d(int x, struct s%d *s)\n{\n    int r = x;\n    for (int i = 0; i < %d; i++) {\n        s->a[i] += r * %d;\n        r ^= s->a[i] >> (x & 7);\n", i, i, i % 37 + 1, i
            printf "        switch (r %% 7) { case 0: r += %d; break; case 1: r *= 3; break; case 2: r -= i; break; default: s->b += r; }\n    }\n    return r + (int)strlen(s->c);\n}\n", i
        }
        print "int main(void)\n{\n    int r = 1;"
        for (i = 0; i < 250; i++) printf "    { struct s%d s = { .c = \"text %d\" }; r = f%d(r, &s); }\n", i, i, i
        print "    printf(\"%d\\n\", r);\n    return 0;\n}"
    }' >big.c
    gcc -O2 -g -Wall -o big big.c
    sha256sum big
    ./big
    gcc -O1 -S -fverbose-asm -o - big.c | sha256sum
}

step "the allocator's sources at -O2 -g" compile_own "-O2 -g" interpose src ! -path 'src/t*'
step "trace and tool at -O0" compile_own -O0 src/trace src/tool
step "this folder's sources at -O3 -g" compile_known
step "preprocessed" sh -c 'gcc -D_GNU_SOURCE -E -dD contents.c | sha256sum'
step "programs, libraries, link-time optimisation, binutils" program
step "a big generated file" big
step "warnings" sh -c 'printf "int f(int x) { int y; if (x = 1) return y; }\nint g(void) { return f(); }\n" >bad.c; gcc -Wall -Wextra -fanalyzer -c bad.c 2>&1 | cat'
step_fails 1 "an error" sh -c 'echo start; gcc -c -o none.o - -x c nowhere.c'
