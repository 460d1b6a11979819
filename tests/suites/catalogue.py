"""catalogue.py - the suites: which tests each has, how one is run, and how its checks are counted."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess

from .compare import Test
from .sources import Missing, source_tree

GLIB = pathlib.Path("/usr/share/installed-tests/glib")
PYTHON = "/usr/bin/python3"
REDIS = ("redis-server", "redis-cli", "redis-benchmark", "redis-check-aof", "redis-check-rdb")

#: Waits for ever in a virtual machine whose host offers no sockets to its guests.
VSOCK = "ThreadedVSOCK*"
#: Debian's redis asks jemalloc itself (mallctl) how fragmented its heap is; with another malloc loaded, that heap is empty.
JEMALLOC = "/^Active defrag"


def answer(*command, **options):
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False, **options).stdout


def python_tests(_):
    names = answer(PYTHON, "-m", "test", "--list-tests").split()
    if not names:
        raise Missing("the tests of Python are not installed")
    return [Test(name, [PYTHON, "-m", "test", "-v", "-i", VSOCK, name], {"PYTHONMALLOC": "malloc"}) for name in names]


def python_checks(output):
    """Of unittest's closing lines: what ran, less what was skipped or failed."""
    ran = sum(int(count) for count in re.findall(r"^Ran (\d+) tests? in ", output, re.M))
    closing = " ".join(re.findall(r"^(?:OK|FAILED) \((.*)\)$", output, re.M))
    return ran - sum(int(count) for count in re.findall(r"\b(?:skipped|failures|errors|expected failures)=(\d+)", closing))


def tap_checks(output):
    return len(re.findall(r"^\s*ok\b(?!.*# *SKIP)", output, re.M | re.I))


def glib_tests(_):
    tests = []
    for description in sorted(GLIB.glob("*.test")):
        words = shlex.split(re.search(r"^Exec=(.*)$", description.read_text(), re.M).group(1))
        preload = [word.removeprefix("LD_PRELOAD=") for word in words if word.startswith("LD_PRELOAD=")]
        command = [word for word in words if not word.startswith("LD_PRELOAD=")]
        tests.append(Test(description.stem, command, preload=preload))
    if not tests:
        raise Missing("the tests of GLib are not installed")
    return tests


def stress_tests(_):
    if not shutil.which("stress-ng"):
        raise Missing("stress-ng is not installed")
    return [Test(f"malloc-{size}", ["stress-ng", "--malloc", "4", "--malloc-bytes", size, "--malloc-ops", "200000", "--verify", "--timeout", "120"])
            for size in ("4K", "64K", "1M")]


def no_checks(_):
    return 0


def redis_tests(work):
    """The sources' tests, with Debian's programs where they look for built ones."""
    programs = {name: shutil.which(name) for name in REDIS}
    if not all(programs.values()) or not shutil.which("tclsh"):
        raise Missing("redis or tclsh is not installed")
    sources = source_tree(work, "redis")
    tree = work / "redis"
    if not tree.exists():
        (tree / "src").mkdir(parents=True)
        shutil.copytree(sources / "tests", tree / "tests")
        shutil.copy(sources / "redis.conf", tree)
        for name, path in programs.items():
            (tree / "src" / name).symlink_to(path)
    names = answer("tclsh", "tests/test_helper.tcl", "--list-tests", cwd=tree).split()
    return [Test(name, ["tclsh", "tests/test_helper.tcl", "--single", name, "--clients", "1", "--baseport", "{port}", "--portcount", "900",
                        "--skiptest", JEMALLOC], copy=tree) for name in names]


def redis_checks(output):
    """By name: some are repeated while the clock allows."""
    return len(set(re.findall(r"\[(?:\x1b\[[\d;]*m)?ok(?:\x1b\[[\d;]*m)?\]: (.*?)(?: \(\d+ ms\))?$", output, re.M)))


def perl_tests(work):
    """Its own tests of the core (t/), in a tree that is built, with threads as Debian's has; but benchmark/, which judges times alone."""
    tree = source_tree(work, "perl")
    if not (tree / "t/perl").exists():
        log = work / "perl.log"
        for command in ("./Configure -des -Dusethreads", "make -j2 test_prep"):
            with open(log, "ab") as output:
                if subprocess.run(command.split(), cwd=tree, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False).returncode != 0:
                    raise Missing(f"perl cannot be built: {log}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30  # GiB; bigmem/ wants up to 4
    names = sorted(str(path.relative_to(tree / "t")) for path in (tree / "t").rglob("*.t") if path.parent.name != "benchmark")
    return [Test(name, ["./perl", "TEST", "-v", name], {"PERL_TEST_MEMORY": str(memory // 4)}, tree / "t") for name in names]


SUITES = {
    "python": (python_tests, python_checks, 1800),
    "glib": (glib_tests, tap_checks, 900),
    "redis": (redis_tests, redis_checks, 1800),
    "perl": (perl_tests, tap_checks, 1800),
    "stress": (stress_tests, no_checks, 900),
}
