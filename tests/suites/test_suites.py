#!/usr/bin/env python3
"""tests/suites/test_suites.py - what scripts/suites calls a difference, with tests that are one line of shell.

    tests/suites/test_suites.py LIB      the library to preload
"""

import pathlib
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "tool")]

from suites.catalogue import python_checks, redis_checks, tap_checks  # noqa: E402  (the path has to be set first)
from suites.compare import NO_END, WITHOUT, Library, Runner, Test  # noqa: E402
from tap import check, run_all  # noqa: E402

LIBRARY = Library("default", pathlib.Path(sys.argv[1]).resolve())
NOTHING = Library(WITHOUT)


def verdict(shell, folder=None, repeat=3, seconds=30):
    with tempfile.TemporaryDirectory() as into:
        runner = Runner(pathlib.Path(into), tap_checks, seconds)
        test = Test("shell", ["sh", "-c", shell], folder=folder or into)
        return runner.compare(test, NOTHING, [LIBRARY], 1, repeat)[0], runner.record


@check
def a_test_that_passes_both_ways_is_the_same_and_not_repeated():
    found, record = verdict("echo ok 1")
    assert found.kind == "same" and found.passes, found
    assert len(record.of("shell", LIBRARY)) == 1


@check
def a_test_that_always_fails_with_the_library_differs():
    found, _ = verdict('test -z "$LD_PRELOAD"')
    assert found.kind == "DIFFERS" and "bad in 4 of 4 runs with the library, in 0 of 4 without it" in found.why, found


@check
def a_check_less_is_a_difference_though_the_test_passes():
    found, _ = verdict('echo ok 1; test -n "$LD_PRELOAD" || echo ok 2')
    assert found.kind == "DIFFERS" and "exit status 0 and 1 checks for 0 and 2" in found.why, found


@check
def a_test_that_fails_without_the_library_is_compared_by_its_checks():
    found, _ = verdict('echo ok 1; test -n "$LD_PRELOAD" || echo ok 2; exit 1')
    assert found.kind == "DIFFERS" and not found.passes, found


@check
def a_bug_that_strikes_now_and_then_is_told_with_how_often():
    found, _ = verdict('test -z "$LD_PRELOAD" || { echo >>runs; test $(wc -l <runs) -gt 1; }')
    assert found.kind == "unsteady" and "bad in 1 of 4 runs with the library, in 0 of 4 without it" in found.why, found


@check
def a_test_that_is_unsteady_without_the_library_does_not_differ():
    found, _ = verdict('test -z "$LD_PRELOAD" || exit 1; echo >>runs; test $(wc -l <runs) -ne 2')
    assert found.kind == "unsteady" and "bad in 4 of 4 runs with the library, in 1 of 4 without it" in found.why, found


@check
def a_first_run_that_fails_without_the_library_hides_nothing():
    found, _ = verdict('test -z "$LD_PRELOAD" || exit 1; echo >>runs; test $(wc -l <runs) -ne 1')
    assert found.passes and found.kind == "unsteady", found


@check
def what_the_library_says_is_told_though_the_test_passes():
    found, _ = verdict("echo nebmalloc: ERROR: something; exit 0")
    assert found.kind == "same" and found.said == ("nebmalloc: ERROR: something",), found


@check
def what_the_library_says_in_a_program_whose_output_is_lost_is_told():
    found, _ = verdict('test -z "$NEBMALLOC" || echo nebmalloc: ERROR: hidden >>${NEBMALLOC#report=}')
    assert found.kind == "same" and found.said == ("nebmalloc: ERROR: hidden",), found


@check
def a_test_without_an_end_is_ended_with_what_it_started():
    found, record = verdict('test -z "$LD_PRELOAD" || { sleep 1000 & sleep 1000; }', repeat=0, seconds=1)
    assert found.kind == "DIFFERS" and record.of("shell", LIBRARY)[0].status == NO_END, found


@check
def runs_that_are_recorded_are_not_run_again():
    with tempfile.TemporaryDirectory() as into:
        test = Test("shell", ["sh", "-c", "echo >>runs"], folder=into)
        for _ in range(2):
            Runner(pathlib.Path(into), tap_checks, 30).compare(test, NOTHING, [LIBRARY], 1, 3)
        assert (pathlib.Path(into) / "runs").read_text() == "\n\n"


@check
def a_last_line_that_was_cut_off_is_run_again():
    with tempfile.TemporaryDirectory() as into:
        (pathlib.Path(into) / "runs.jsonl").write_text('{"test": "shell", "libr')
        test = Test("shell", ["sh", "-c", "echo >>runs"], folder=into)
        for _ in range(2):
            Runner(pathlib.Path(into), tap_checks, 30).compare(test, NOTHING, [LIBRARY], 1, 3)
        assert (pathlib.Path(into) / "runs").read_text() == "\n\n"


@check
def checks_are_counted():
    assert python_checks("Ran 10 tests in 1s\n\nOK (skipped=3)\nRan 2 tests in 0s\n\nFAILED (failures=1)\n") == 8
    assert tap_checks("1..4\nok 1 - a\nnot ok 2\n    ok 1\nok 3 # SKIP no\nok 4 # skip no\n# ok\n") == 2
    assert redis_checks("[ok]: a (1 ms)\n[ok]: a (2 ms)\n[\x1b[0;32mok\x1b[0m]: b\n[err]: c\n[ignore]: d\n") == 2


if __name__ == "__main__":
    sys.exit(1 if run_all() else 0)
