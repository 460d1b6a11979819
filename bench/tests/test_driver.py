"""test_driver.py BUILD - the driver's statistics, its exit statuses, and that a broken allocator can't win."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))

from driver import allocators, compare, measure, results, statistics  # noqa: E402  (the path has to be set first)

BUILD = ""


def bench(*words):
    return subprocess.run([os.path.join(ROOT, "scripts", "bench"), "--build-dir", BUILD, "--no-build", "--no-install",
                           "--no-pictures", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def bench_compare(*words):
    return subprocess.run([os.path.join(ROOT, "scripts", "bench-compare"), *words], capture_output=True, text=True)


def result(times, failures=()):
    """A result of one allocator in several workloads: name -> wall times."""
    samples = [{"workload": name, "allocator": "nebmalloc", "round": number, "wall_s": time, "cpu_s": time,
                "peak_rss_kib": 1000} for name, values in times.items() for number, time in enumerate(values, 1)]
    return {"format": results.FORMAT, "version": results.VERSION, "complete": True, "subject": "nebmalloc",
            "allocators": [{"name": "nebmalloc", "version": "1"}],
            "workloads": [{"name": name, "group": "single", "threads": 1} for name in times], "samples": samples,
            "failures": [{"workload": w, "allocator": "nebmalloc", "why": why} for w, why in failures]}


WITHOUT_PEERS = [word for name in ("jemalloc", "mimalloc", "tcmalloc", "tbb", "scudo") for word in ("--without", name)]


class Statistics(unittest.TestCase):
    def test_exact_rank_test_of_separated_samples_counts_two_of_all_divisions(self):
        self.assertAlmostEqual(statistics.rank_test([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]), 2 / 252)

    def test_rank_test_of_equal_samples_says_nothing(self):
        self.assertEqual(statistics.rank_test([1, 1, 1], [1, 1, 1]), 1)

    def test_normal_approximation_agrees_with_the_exact_test(self):
        a, b = list(range(0, 14, 2)), list(range(5, 19, 2))
        ranks = statistics.midranks(a + b)
        exact = statistics.exact_p(ranks, 7, sum(ranks[:7]))
        self.assertAlmostEqual(exact, statistics.normal_p(ranks, 7, sum(ranks[:7])), delta=0.02)

    def test_midranks_share_the_mean(self):
        self.assertEqual(statistics.midranks([5, 1, 5, 9]), [2.5, 1, 2.5, 4])

    def test_false_discoveries_are_bounded_step_up(self):
        self.assertEqual(statistics.significant([0.04, 0.001, 0.9, 0.03]), [False, True, False, False])
        self.assertEqual(statistics.significant([0.01, 0.02, 0.03, 0.05]), [True] * 4)

    def test_interval_contains_the_ratio(self):
        ratio, low, high = statistics.ratio_interval([2.0, 2.1, 2.2], [1.0, 1.1, 1.05])
        self.assertTrue(low <= ratio <= high)
        self.assertAlmostEqual(ratio, 2.0)

    def test_seven_rounds_suffice_for_one_difference_among_all_workloads(self):
        self.assertEqual(compare.rounds_needed(75), 7)

    def test_thinned_curves_keep_their_steps(self):
        points = [[0, 100], [1, 100], [2, 100], [3, 900], [4, 900], [5, 900]]
        self.assertEqual(measure.thin(points), [[0, 100], [2, 100], [3, 900], [5, 900]])


class Compare(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def file(self, name, content):
        path = os.path.join(self.directory.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def test_a_regression_is_found_and_noise_is_not(self):
        steady = [1.00, 1.01, 0.99, 1.02, 0.98, 1.005, 0.995]
        a = self.file("a", result({"x": steady, "y": steady}))
        b = self.file("b", result({"x": [t * 1.2 for t in steady], "y": steady[::-1]}))
        answer = bench_compare(a, b)
        self.assertEqual(answer.returncode, 1, answer.stderr)
        self.assertIn("| x | time | 1.20", answer.stdout)
        self.assertNotIn("| y |", answer.stdout)
        self.assertEqual(bench_compare(a, b, "--bound", "30").returncode, 0)
        self.assertEqual(bench_compare(b, a).returncode, 0)

    def test_a_workload_that_fails_now_is_a_regression(self):
        a = self.file("a", result({"x": [1, 1, 1], "y": [1, 1, 1]}))
        b = self.file("b", result({"x": [1, 1, 1]}, [("y", "crash: SIGSEGV")]))
        answer = bench_compare(a, b)
        self.assertEqual(answer.returncode, 1)
        self.assertIn("y: failed in B: crash: SIGSEGV", answer.stdout)

    def test_wrong_input_is_one_line_and_status_2(self):
        good = self.file("good", result({"x": [1, 1, 1]}))
        absent = os.path.join(self.directory.name, "absent")
        for bad in (self.file("text", "no json"), self.file("other", "{}"), absent):
            answer = bench_compare(good, bad)
            self.assertEqual(answer.returncode, 2)
            self.assertEqual(len(answer.stderr.splitlines()), 1)


class Bench(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def test_wrong_input_is_one_line_and_status_2(self):
        for words in (["--only", "nosuch"], ["--only", "("], ["--peer", "x"], ["--peer", "x=absent.so"],
                      ["--baseline", "absent.json"], ["--length", "long"], ["--", "nosuchcommand"],
                      ["--without", "nosuch"], ["--replay", "absent"], ["--record", "x"], ["--runs", "0"]):
            answer = bench(*words)
            self.assertEqual(answer.returncode, 2, words)
            self.assertEqual(len(answer.stderr.splitlines()), 1, answer.stderr)

    def test_a_build_that_is_not_complete_is_one_line_and_status_2(self):
        os.mkdir(os.path.join(self.directory.name, "bench"))
        for name in ("libnebmalloc.so", "bench/bench-fastpath"): # but no bench-probe
            os.symlink(os.path.join(BUILD, name), os.path.join(self.directory.name, name))
        counts = os.path.join(ROOT, "bench", "counts", "counts")
        answer = subprocess.run([counts, "--only-ours", "--build-dir", self.directory.name], capture_output=True, text=True)
        self.assertEqual(answer.returncode, 2, answer.stderr)
        self.assertEqual(len(answer.stderr.splitlines()), 1, answer.stderr)
        self.assertIn("the build is not complete", answer.stderr)

    def test_programs_that_use_the_opt_in_api_give_the_same_result_with_and_without_it(self):
        out = os.path.join(self.directory.name, "out")
        answer = bench("--length", "smoke", "--runs", "1", "--only", "^regions-", "--without", "glibc", "--out", out)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        found = results.load(os.path.join(out, "result.json"))
        self.assertEqual(found["failures"], [])
        with open(os.path.join(out, "result.md"), encoding="utf-8") as file:
            self.assertIn("## Programs that use the opt-in API", file.read())

    def test_a_cold_run_drops_nothing_and_is_about_time_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            done = bench("--cold", "--runs", "2", "--only", "^(pair|larson@1)$", "--out", out, *WITHOUT_PEERS)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(os.path.join(out, "result.json"), encoding="utf-8") as file:
                found = json.load(file)
        self.assertTrue(found["cold"])
        self.assertEqual({(s["workload"], s["round"]) for s in found["samples"]}, {("pair", 1), ("pair", 2)})
        self.assertFalse(found["latency"] or found["memory"] or found["harness"])

    def test_a_command_that_fails_is_status_2(self):
        answer = bench("--without", "nebmalloc", "--runs", "1", "--", "false")
        self.assertEqual(answer.returncode, 2)
        self.assertIn("the command fails under glibc: exit status 1", answer.stderr)

    def test_a_peer_may_have_variables(self):
        self.assertEqual(allocators.parse_peer("a=X=1 Y=b=c some lib.so"), ("a", "some lib.so", [("X", "1"), ("Y", "b=c")]))
        library = os.path.join(BUILD, "libnebmalloc.so")
        answer = bench("--without", "nebmalloc", "--runs", "1", "--peer", f"other=STATUS_OF_TEST=7 {library}", "--", "sh", "-c",
                       "exit ${STATUS_OF_TEST:-0}")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertIn("exit status 7", answer.stdout)

    def test_a_peers_variable_takes_the_place_of_the_workloads(self):
        out = os.path.join(self.directory.name, "out")
        library = os.path.join(BUILD, "libnebmalloc.so")
        answer = bench("--without", "nebmalloc", "--length", "smoke", "--runs", "1", "--only", "^perl$", "--peer",
                       f"other=PERL_HASH_SEED=0 {library}", "--out", out)
        self.assertEqual(answer.returncode, 0, answer.stderr)

    def test_nothing_is_overwritten(self):
        path = os.path.join(self.directory.name, "result.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write("mine")
        self.assertEqual(bench("--out", self.directory.name).returncode, 2)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "mine")

    def test_a_broken_allocator_cannot_win(self):
        library = os.path.join(BUILD, "bench", "libbench-broken.so")
        out = os.path.join(self.directory.name, "out")
        answer = bench("--without", "nebmalloc", "--length", "smoke", "--peer", f"broken={library}", "--only",
                       "^(bulk-lifo|fresh|trees|deriv)$", "--out", out)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        found = results.load(os.path.join(out, "result.json"))
        thrown_out = {f["workload"] for f in found["failures"] if f["allocator"] == "broken"}
        self.assertEqual(thrown_out, {"bulk-lifo", "fresh", "trees", "deriv"})
        self.assertFalse([s for s in found["samples"] if s["allocator"] == "broken"])

    def test_a_recorded_trace_replays_with_the_same_checksum_under_all(self):
        trace = os.path.join(self.directory.name, "trace")
        program = os.path.join(BUILD, "bench", "bench-mstress")
        answer = bench("--record", trace, "--", program, "--threads", "3", "--count", "2")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        answer = bench("--without", "nebmalloc", "--runs", "1", "--replay", trace)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertNotIn("wrong result", answer.stdout)


if __name__ == "__main__":
    BUILD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
