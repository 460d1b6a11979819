#!/usr/bin/env python3
"""tests/api/test_tools.py - memory checkers see the opt-in API's objects come and go in programs that use it.

    tests/api/test_tools.py INCLUDE [LIBRARY]

Builds tool_uses.c against the headers in INCLUDE for AddressSanitizer, MemorySanitizer and Valgrind; each mistake must
be reported by the tools that look for it, and the program without mistakes must run clean; under Valgrind also with
LIBRARY preloaded. Exit status: 0 good, 1 not, 77 no tool is installed.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ENDED = ["scope_after_end", "scope_after_release", "bump_after_reset", "pool_after_free", "stack_after_pop"]

TOOLS = [  # name, compiler, flags, command before the program, mistakes it must see, what it then says
    ("AddressSanitizer", "clang", ["-fsanitize=address,undefined"], [], ENDED + ["scope_beyond_the_end"], "use-after-poison|heap-use-after-free|heap-buffer-overflow"),
    ("AddressSanitizer", "gcc", ["-fsanitize=address,undefined"], [], ENDED + ["scope_beyond_the_end"], "use-after-poison|heap-use-after-free|heap-buffer-overflow"),
    ("MemorySanitizer", "clang", ["-fsanitize=memory"], [], ["scope_after_release", "scope_uninitialised", "bump_after_reset", "pool_after_free", "stack_after_pop"], "use-of-uninitialized-value"),
    ("Valgrind", "gcc", [], ["valgrind", "-q", "--error-exitcode=9"], ENDED + ["scope_beyond_the_end", "scope_uninitialised"], "Invalid read|Conditional jump"),
]


def run(command, library=None):
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "MSAN_OPTIONS": "", "UBSAN_OPTIONS": "halt_on_error=1"}
    environment.pop("LD_PRELOAD", None)
    if library:
        environment["LD_PRELOAD"] = library
    return subprocess.run(command, capture_output=True, text=True, env=environment, errors="replace")


def check(label, prefix, program, mistakes, words, library):
    failures = 0
    result = run([*prefix, str(program), "none"], library)
    if result.returncode != 0:
        print(f"{label}: the program without mistakes: exit {result.returncode}\n{result.stderr[:2000]}")
        failures += 1
    for mistake in mistakes:
        result = run([*prefix, str(program), mistake], library)
        if result.returncode == 0 or not any(word in result.stderr for word in words.split("|")):
            print(f"{label}: {mistake} goes unnoticed (exit {result.returncode})\n{result.stderr[:500]}")
            failures += 1
    print(f"{label}: {len(mistakes) + 1 - failures} of {len(mistakes) + 1} runs as they should be")
    return failures


def main(arguments):
    if not arguments:
        print(__doc__)
        return 2
    failures = tools = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, compiler, flags, prefix, mistakes, words in TOOLS:
            program = pathlib.Path(folder) / "uses"
            if not shutil.which(compiler) or (prefix and not shutil.which(prefix[0])):
                print(f"{name}: not installed")
                continue
            built = subprocess.run([compiler, "-std=c11", "-O1", "-g", *flags, "-I", arguments[0], str(HERE / "tool_uses.c"), "-o", str(program)],
                                   capture_output=True, text=True)
            if built.returncode != 0:
                print(f"{name}: {compiler} cannot build for it: {built.stderr[:300]}")
                failures += "error:" in built.stderr
                continue
            tools += 1
            failures += check(f"{name} ({compiler})", prefix, program, mistakes, words, None)
            if name == "Valgrind" and len(arguments) > 1:
                failures += check("Valgrind, library preloaded", prefix, program, mistakes, words, arguments[1])
    return 1 if failures else 0 if tools else 77


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
