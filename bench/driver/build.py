"""build.py - finds or makes a release build of the repository.

    newest build*/ whose buildtype is `release` and that no sanitizer is part of; else one is set up
"""

import glob
import json
import os
import subprocess

from .errors import BenchError

LIBRARY = "libnebmalloc.so"


def options(directory):
    path = os.path.join(directory, "meson-info", "intro-buildoptions.json")
    try:
        with open(path, encoding="utf-8") as file:
            return {option["name"]: option["value"] for option in json.load(file)}
    except (OSError, ValueError):
        return {}


def is_release(directory):
    found = options(directory)
    return found.get("buildtype") == "release" and found.get("b_sanitize") in ("none", None, [])


def age(directory):
    library = os.path.join(directory, LIBRARY)
    return os.path.getmtime(library if os.path.exists(library) else directory)


def newest(root):
    """The newest release build directory, or None."""
    candidates = [path for path in glob.glob(os.path.join(root, "build*")) if is_release(path)]
    return max(candidates, key=age, default=None)


def run(words, log, what):
    with open(log, "ab") as file:
        answer = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT)
    if answer.returncode != 0:
        raise BenchError(f"{what} failed; see {os.path.relpath(log)}")


def set_up(root):
    taken = os.path.exists(os.path.join(root, "build"))
    directory = os.path.join(root, "build-release" if taken else "build")
    os.makedirs(directory, exist_ok=True)
    run(["meson", "setup", "--buildtype=release", directory, root], os.path.join(directory, "bench-build.log"),
        "meson setup")
    return directory


def build(root):
    """Builds everything, and returns the build directory."""
    directory = newest(root) or set_up(root)
    run(["ninja", "-C", directory], os.path.join(directory, "bench-build.log"), "the build")
    return directory


def library(directory):
    """Our library in this build directory, or None."""
    path = os.path.join(directory, LIBRARY)
    return path if os.path.exists(path) else None
