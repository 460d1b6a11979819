#!/usr/bin/env python3
"""tests/api/test_build.py - the headers compile alone, and programs find the library however they are linked.

    tests/api/test_build.py headers INCLUDE
    tests/api/test_build.py linking INCLUDE RELEASE CHECKED [PC]

headers: each public header as the only include, as C11, C17, C2x and C++17, with every installed compiler, no warning
under -Wall -Wextra -Wpedantic -Wconversion -Wshadow; with and without NEB_LINKED.
linking: a program that links nothing runs on malloc, and on the library when that is preloaded: position-independent or
not, with GNU ld and lld, gcc and clang; one that is linked with the library runs on it, and on the checked one when that
is preloaded; PC, a pkg-config file as the build made it, names the flags. Exit status: 0 good, 1 not.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
LANGUAGES = [("c", "c11"), ("c", "c17"), ("c", "c2x"), ("c++", "c++17")]
USE = """
int main(void)
{
    NEB_SCOPE(scope);
    return neb_scope_printf(scope, "%d", 1) == NULL || puts(neb_version()) < 0;
}
"""


def run(command, **environment):
    clean = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, env={**clean, **environment})


def compilers(language):
    return [name for name in (["gcc", "clang"] if language == "c" else ["g++", "clang++"]) if shutil.which(name)]


def headers(include):
    failures = done = 0
    names = sorted(path.name for path in (pathlib.Path(include) / "nebmalloc").iterdir() if path.is_file())
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for language, standard in LANGUAGES:
                if name.endswith(".hpp") and language == "c":
                    continue
                source = pathlib.Path(folder) / f"alone.{'c' if language == 'c' else 'cpp'}"
                source.write_text(f"#include <nebmalloc/{name}>\nint main(void) {{ return 0; }}\n", encoding="utf-8")
                for compiler in compilers(language):
                    for more in ([], ["-DNEB_LINKED"]):
                        result = run([compiler, f"-std={standard}", *WARNINGS, "-O1", *more, "-I", include, "-c", source,
                                      "-o", pathlib.Path(folder) / "alone.o"])
                        done += 1
                        if result.returncode != 0:
                            print(f"{compiler} -std={standard} {' '.join(more)} <nebmalloc/{name}>:\n{result.stderr[:1500]}")
                            failures += 1
    print(f"{done - failures} of {done} compilations are clean")
    return failures


def expect(label, program, preload, expected):
    result = run([program], **({"LD_PRELOAD": str(preload)} if preload else {}))
    good = result.returncode == 0 and result.stdout.strip().endswith(expected)
    if not good:
        print(f"{label}: expected '{expected}', got {result.stdout!r} {result.stderr[:500]!r} (exit {result.returncode})")
    return not good


# What a binding for another language does: names looked up in the process, no header.
FOREIGN = """
import ctypes
lib = ctypes.CDLL(None)
pointer = ctypes.c_void_p
for name in ("neb_scope_enter", "neb_scope_alloc", "neb_scope_strdup", "neb_bump_create", "neb_bump_alloc", "neb_version"):
    getattr(lib, name).restype = pointer
scope = pointer(lib.neb_scope_enter(b"python"))
text = lib.neb_scope_strdup(scope, b"text")
assert ctypes.string_at(text) == b"text" and lib.neb_scope_alloc(scope, ctypes.c_size_t(100)) > text
lib.neb_scope_leave(scope)
arena = pointer(lib.neb_bump_create(None))
first, second = lib.neb_bump_alloc(arena, ctypes.c_size_t(64)), lib.neb_bump_alloc(arena, ctypes.c_size_t(64))
assert second == first + 64 or b"checked" in ctypes.string_at(lib.neb_version())
lib.neb_bump_destroy(arena)
print(ctypes.string_at(lib.neb_version()).decode())
"""


def foreign(label, library, expected):
    result = run([sys.executable, "-c", FOREIGN], LD_PRELOAD=str(library))
    good = result.returncode == 0 and result.stdout.strip().endswith(expected)
    if not good:
        print(f"{label}: expected '{expected}', got {result.stdout!r} {result.stderr[-500:]!r} (exit {result.returncode})")
    return not good


def linking(include, release, checked, pc=None):
    failures = done = 0
    release, checked = pathlib.Path(release).resolve(), pathlib.Path(checked).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        source, program = folder / "use.c", folder / "use"
        source.write_text("#include <nebmalloc/nebmalloc.h>\n" + USE, encoding="utf-8")
        for compiler in compilers("c"):
            for linker in [linker for linker in ("bfd", "lld") if shutil.which(f"ld.{linker}")]:
                for kind in (["-fpie", "-pie"], ["-fno-pie", "-no-pie"]):
                    label = f"{compiler} {linker} {kind[1]}"
                    result = run([compiler, "-O2", *kind, f"-fuse-ld={linker}", "-I", include, source, "-o", program])
                    if result.returncode != 0:
                        print(f"{label}: {result.stderr[:1000]}")
                        failures += 1
                        continue
                    failures += expect(label, program, None, "malloc")
                    failures += expect(f"{label}, preloaded", program, release, "release")
                    failures += expect(f"{label}, checked preloaded", program, checked, "checked")
                    done += 3
        # The soname is that of the release library: as it would be installed.
        (folder / "libnebmalloc.so").symlink_to(release)
        flags = ["-DNEB_LINKED", "-L", folder, "-lnebmalloc"]
        if pc:
            text = pathlib.Path(pc).read_text(encoding="utf-8")
            flags = re.search(r"^Cflags:(.*)$", text, re.MULTILINE).group(1).split() + \
                re.search(r"^Libs:(.*)$", text, re.MULTILINE).group(1).split()
            flags = [flag.replace("${libdir}", str(folder)).replace("${includedir}", str(include)) for flag in flags]
        for compiler in compilers("c"):
            result = run([compiler, "-O2", "-Wl,--as-needed", "-I", include, source, *flags, f"-Wl,-rpath,{folder}", "-o", program])
            if result.returncode != 0:
                print(f"{compiler}, linked: {result.stderr[:1000]}")
                failures += 1
                continue
            failures += expect(f"{compiler}, linked", program, None, "release")
            failures += expect(f"{compiler}, linked, checked preloaded", program, checked, "checked")
            done += 2
    failures += foreign("python, preloaded", release, "release")
    failures += foreign("python, checked preloaded", checked, "checked")
    done += 2
    print(f"{done - failures} of {done} programs run on what they should")
    return failures


if __name__ == "__main__":
    if sys.argv[1:2] == ["headers"] and len(sys.argv) == 3:
        sys.exit(1 if headers(sys.argv[2]) else 0)
    if sys.argv[1:2] == ["linking"] and len(sys.argv) in (5, 6):
        sys.exit(1 if linking(*sys.argv[2:]) else 0)
    print(__doc__)
    sys.exit(2)
