"""command.py - the user's own command, or a recorded trace, under each allocator: the table that decides.

The rounds are those of the suite: interleaved, shuffled, one warm-up dropped; in the end one more run of each with the
resident size sampled. Standard input is empty, or a file that every run reads from its beginning.
"""

import os
import shutil
import subprocess

from . import catalogue, statistics, suite, table
from .errors import BenchError

RUNS = 5


def length(runs):
    return suite.Length("command", 1.0, runs or RUNS, 1, "", "", 0, True)


def own(words):
    if shutil.which(words[0]) is None:
        raise BenchError(f"no such command: {words[0]}")
    return catalogue.Fixed("command", "programs", " ".join(words), tuple(words), 1, verified=False, rss_picture=True)


def replay(program, trace, directory):
    """Prepares the trace once, outside of every measurement."""
    ready = os.path.join(directory, "ready")
    answer = subprocess.run([program, "--prepare", trace, ready], capture_output=True, text=True)
    if answer.returncode != 0:
        raise BenchError(answer.stderr.strip() or f"cannot prepare {trace}")
    return catalogue.Fixed("replay", "programs", f"recorded trace {os.path.basename(trace)}", (program, ready), 1,
                           pattern="replay", rss_picture=True)


def settled_kib(points, after_s):
    """Resident size `after_s` after the peak; None when it ended before."""
    if not points:
        return None
    peak_at = max(points, key=lambda point: point[1])[0]
    later = [kib for at, kib in points if at >= peak_at + after_s]
    return later[0] if later else None


def mib(kib):
    return "-" if kib is None else table.number(kib / 1024)


def row(view, workload, allocator, reference):
    value = lambda metric: view.values(workload, allocator, metric)
    times, base = value("wall_s"), view.values(workload, reference, "wall_s")
    points = next((m.get("rss", []) for m in view.result["memory"] if m["allocator"] == allocator), [])
    ratio = statistics.ratio_interval(times, base)
    sure = allocator == reference or statistics.rank_test(times, base) <= 0.05
    return [allocator, f"{statistics.median(times):.3f}{table.spread(times)}",
            f"{ratio[0]:.2f}{'' if sure else ' (noise)'}", f"{statistics.median(value('cpu_s')):.3f}",
            mib(statistics.median(value("peak_rss_kib"))), mib(settled_kib(points, 1)), mib(settled_kib(points, 10)),
            table.number(statistics.median(value("minor_faults")))]


def outputs_differ(view, workload, reference):
    """Allocators under which the command printed something else, where glibc always printed the same."""
    printed = lambda allocator: set(view.values(workload, allocator, "checksum"))
    right = printed(reference)
    return [name for name in view.allocators if len(right) == 1 and printed(name) and printed(name) != right]


def lines(view):
    workload, reference = next(iter(view.workloads)), view.allocators[0]
    head = ["allocator", "time, s", f"/ {reference}", "CPU, s", "peak RSS, MiB", "1 s after", "10 s after",
            "page faults"]
    measured = [name for name in view.allocators if view.values(workload, name, "wall_s")]
    text = table.grid(head, [row(view, workload, name, reference) for name in measured])
    text += [f"{name}: {view.why_not(workload, name)}" for name in view.allocators if name not in measured]
    text += [f"{name}: {why}" for name, why in view.result["absent"].items()]
    text += [f"{name}: prints something else than under {reference}" for name in
             outputs_differ(view, workload, reference)]
    return text + ["", "time: median, ± half the interquartile range in percent; '1 s after': resident size 1 s after "
                   "the peak, if it ran so long"]


def refuse_failure(run, reference):
    """A command that fails without any of the peers is the user's to mend."""
    for failure in run.failures:
        if failure["allocator"] == reference:
            raise BenchError(f"the command fails under {reference}: {failure['why']}")
