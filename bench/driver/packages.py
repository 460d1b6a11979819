"""packages.py - Debian packages that hold the peers and the real programs.

Missing ones are installed when we are root; otherwise the result says which peers and programs were not there.
"""

import os
import shutil
import subprocess

from .errors import BenchError

#: Package -> how to see that it is there: a program, a Python module, or a file pattern of dpkg.
PROGRAMS = {"redis-tools": "redis-benchmark", "sqlite3": "sqlite3", "perl": "perl", "git": "git", "nodejs": "node",
            "gcc": "gcc", "g++": "g++", "clang": "clang++", "ghostscript": "gs", "z3": "z3", "python3": "python3", "meson": "meson", "ninja-build": "ninja",
            "valgrind": "valgrind"}
LIBRARIES = ("libjemalloc2", "libmimalloc2.0", "libtcmalloc-minimal4", "libtbbmalloc2", "libclang-rt-dev",
             "python3-matplotlib")


def installed_version(package):
    """The version of an installed package, or None."""
    try:
        answer = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package],
                                capture_output=True, text=True)
    except FileNotFoundError:
        return None
    status, _, version = answer.stdout.partition(" ")
    return version if status == "installed" else None


def files(pattern):
    """All files of the installed packages that match a pattern."""
    try:
        answer = subprocess.run(["dpkg-query", "-L", *matching(pattern)], capture_output=True, text=True)
    except FileNotFoundError:
        return []
    return answer.stdout.splitlines()


def matching(pattern):
    answer = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\n", pattern], capture_output=True, text=True)
    return answer.stdout.split() or ["none"]


def owner(path):
    """'package version' of the file, or None when no package has it."""
    for name in {path, os.path.realpath(path), os.path.realpath(path).removeprefix("/usr")}:
        try:
            answer = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
        except FileNotFoundError:
            return None
        if answer.returncode == 0:
            package = answer.stdout.split(": ")[0].split(",")[0].split(":")[0]
            return f"{package} {installed_version(package)}"
    return None


def missing():
    absent = [package for package, program in PROGRAMS.items() if shutil.which(program) is None]
    return absent + [package for package in LIBRARIES if installed_version(package) is None]


def install_missing(say):
    """Installs what is missing when we are root and apt-get is there; says what it does."""
    absent = missing()
    if not absent:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        say(f"not installed: {' '.join(absent)} (as root, they would be installed)")
        return
    say(f"installing {' '.join(absent)}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    answer = subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *absent], env=environment,
                            capture_output=True, text=True)
    if answer.returncode != 0:
        last = (answer.stderr.strip() or "no message").splitlines()[-1]
        raise BenchError(f"apt-get could not install {' '.join(absent)}: {last}")
