#!/usr/bin/env python3
"""tests/api/test_sanitizers.py - the tests of the opt-in API run clean under AddressSanitizer with
UndefinedBehaviorSanitizer, MemorySanitizer and ThreadSanitizer.

    tests/api/test_sanitizers.py INCLUDE

Each program of this folder includes the headers in INCLUDE and links nothing, so that the whole of the API is compiled
for the sanitizer. A report ends a program, and fails the test. MISTAKE must be reported by each: a sanitizer that looks
at nothing proves nothing. Exit status: 0 good, 1 not, 77 no sanitizer is installed.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = ["scope", "bump", "pool", "stack", "library"]
SANITIZERS = [("clang", "address,undefined", PROGRAMS), ("clang", "memory", PROGRAMS), ("gcc", "thread", ["bump", "pool"])]
OPTIONS = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "halt_on_error=1", "TSAN_OPTIONS": "halt_on_error=1", "MSAN_OPTIONS": ""}

# A block that another thread has freed, written without its knowledge: a race, a use of what is no longer anybody's, and
# the reading of what nobody wrote.
MISTAKE = """
#include <nebmalloc/pool.h>
#include <pthread.h>
#include <stdlib.h>
struct object { int words[16]; }; /* AddressSanitizer knows no halves of eight bytes */
static int *block;
static neb_pool *pool;
static void *free_it(void *unused)
{
    neb_pool_free(pool, block);
    *(volatile int *)block = 1;
    return unused;
}
int main(void)
{
    pool = neb_pool_create_for(struct object);
    block = neb_pool_alloc(pool);
    if (*(volatile int *)neb_pool_alloc(pool) == 77) /* while the other block is in use: it could be that one */
        return 0;
    int seen = 0;
    pthread_t thread;
    if (pthread_create(&thread, NULL, free_it, NULL) != 0)
        return 0;
    for (int i = 0; i < 100000; i++)
        seen |= *(volatile int *)block;
    pthread_join(thread, NULL);
    if (seen == 77)
        abort();
    return 0;
}
"""


def build(compiler, sanitizer, include, source, program):
    return subprocess.run([compiler, "-std=gnu11", "-O1", "-g", "-pthread", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all",
                           "-fno-builtin-malloc", "-I", include, str(source), "-o", str(program)], capture_output=True, text=True)


def run(program):
    environment = {**os.environ, **OPTIONS}
    environment.pop("LD_PRELOAD", None)
    return subprocess.run([str(program)], capture_output=True, text=True, env=environment, errors="replace")


def check(compiler, sanitizer, programs, include, folder):
    """Failures; None: not installed."""
    program, mistake = folder / "program", folder / "mistake.c"
    mistake.write_text(MISTAKE, encoding="utf-8")
    built = build(compiler, sanitizer, include, mistake, program)
    if built.returncode != 0:
        print(f"{compiler} has no {sanitizer} here: {built.stderr[-200:]}")
        return None
    failures = 0
    if run(program).returncode == 0:
        print(f"{compiler} -fsanitize={sanitizer}: a mistake goes unnoticed")
        failures += 1
    for name in programs:
        built = build(compiler, sanitizer, include, HERE / f"test_{name}.c", program)
        result = run(program) if built.returncode == 0 else built
        if result.returncode != 0:
            print(f"{compiler} -fsanitize={sanitizer}, {name}: exit {result.returncode}\n{result.stdout[-500:]}{result.stderr[:3000]}")
            failures += 1
    print(f"{compiler} -fsanitize={sanitizer}: {len(programs) + 1 - failures} of {len(programs) + 1} as they should be")
    return failures


def main(arguments):
    if len(arguments) != 1:
        print(__doc__)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        results = [check(compiler, sanitizer, programs, arguments[0], pathlib.Path(folder))
                   for compiler, sanitizer, programs in SANITIZERS if shutil.which(compiler)]
    known = [failures for failures in results if failures is not None]
    return 77 if not known else 1 if sum(known) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
