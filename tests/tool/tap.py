"""tests/tool/tap.py - a list of checks, run one after the other; TAP on stdout."""

import subprocess
import sys

FAILURES = (AssertionError, LookupError, TypeError, ValueError, StopIteration, subprocess.SubprocessError, OSError)
checks = []


class Skip(Exception):
    """Raised by a check that lacks what it needs."""


def check(function):
    checks.append(function)
    return function


def run_all():
    """How many failed."""
    failed = 0
    print(f"1..{len(checks)}")
    for place, function in enumerate(checks, 1):
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok {place} - {name}")
        except Skip as why:
            print(f"ok {place} - {name} # SKIP {why}")
        except FAILURES as error:
            failed += 1
            print(f"not ok {place} - {name}")
            print("\n".join("# " + line for line in f"{type(error).__name__}: {error}".splitlines()[:60]))
        sys.stdout.flush()
    return failed
