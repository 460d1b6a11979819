"""compare.py - which differences between two results are larger than the noise.

    default    one allocator (ours) in A against the same in B. The runs were made at different times, perhaps on a
               machine in another mood, so each is first divided by the peers' geometric mean in the same round.
    --agree    do A and B agree on the order of any two allocators, wherever both call the difference significant?

A difference counts when the rank test is significant among all of its metric (Benjamini and Hochberg) and the bootstrap
interval of the ratio excludes 1. It is a regression when, besides, the ratio exceeds 1 + bound.

Exit status  0 no regression (or agreement), 1 otherwise, 2 wrong input
"""

import argparse
import dataclasses
import itertools
import math
import sys

from . import results, statistics, table
from .errors import BenchError

METRICS = {"time": "wall_s", "cpu": "cpu_s", "rss": "peak_rss_kib"}


@dataclasses.dataclass
class Difference:
    workload: str
    metric: str
    ratio: tuple        # B over A: median, low, high
    p: float
    counts: bool = False

    def regression(self, bound):
        return self.counts and self.ratio[0] > 1 + bound

    def verdict(self, bound):
        if not self.counts:
            return "noise"
        if self.regression(bound):
            return "REGRESSION"
        return "worse, within the bound" if self.ratio[0] > 1 else "better"


def normalised(view, workload, allocator, metric, peers):
    """One value per round, divided by the peers' mean in that round."""
    mine = view.rounds(workload, allocator, metric)
    others = [view.rounds(workload, peer, metric) for peer in peers]
    others = [rounds for rounds in others if rounds]
    if not others:
        return list(mine.values())
    return [value / statistics.geometric_mean([rounds[number] for rounds in others])
            for number, value in mine.items() if all(number in rounds for rounds in others)]


def common_peers(a, b, subject, raw):
    """Peers of the same version in both."""
    if raw:
        return []
    version = lambda view: {entry["name"]: entry["version"] for entry in view.result["allocators"]}
    va, vb = version(a), version(b)
    return [name for name in va if vb.get(name) == va[name] and name != subject and "#" not in name]


def mark(differences):
    """The tests of one metric are one family."""
    for metric in METRICS:
        family = [difference for difference in differences if difference.metric == metric]
        flags = statistics.significant([difference.p for difference in family])
        for difference, flag in zip(family, flags):
            difference.counts = flag and not difference.ratio[1] <= 1 <= difference.ratio[2]
    return differences


def usable_peers(a, b, workload, peers):
    """Those that were measured in this workload on both sides: the yardstick must be the same one."""
    return [peer for peer in peers if (workload, peer) in a.by_pair and (workload, peer) in b.by_pair]


def differences(a, b, subject, raw=False):
    found = []
    peers = common_peers(a, b, subject, raw)
    for workload in a.workloads:
        if workload not in b.workloads:
            continue
        for title, metric in METRICS.items():
            usable = usable_peers(a, b, workload, peers) if title != "rss" else []
            x = normalised(a, workload, subject, metric, usable)
            y = normalised(b, workload, subject, metric, usable)
            if x and y:
                found.append(Difference(workload, title, statistics.ratio_interval(y, x), statistics.rank_test(y, x)))
    return mark(found)


def lost_workloads(a, b, subject):
    """Measured in A and failed in B: the worst regression of all."""
    return [(name, why) for (name, allocator), why in b.failures.items()
            if allocator == subject and (name, allocator) in a.by_pair]


def rounds_needed(count):
    """The fewest rounds whose smallest possible p is significant among `count` tests."""
    return next(n for n in range(2, 40) if 2 / math.comb(2 * n, n) <= statistics.FALSE_SHARE / count)


def power_note(a, b, subject, found):
    """With few rounds no single difference can be significant; better said than left to be wondered about."""
    fewest = min((len(samples) for view in (a, b) for (_, name), samples in view.by_pair.items() if name == subject),
                 default=0)
    count = max(sum(d.metric == metric for d in found) for metric in METRICS)
    needed = rounds_needed(count)
    if fewest >= needed:
        return []
    return [f"Note: some workloads have {fewest} rounds; for a single difference among {count} to be significant it "
            f"takes {needed} (--runs {needed})."]


def report(a, b, subject, raw, bound, everything=False):
    """The lines to print, and the number of regressions."""
    found = differences(a, b, subject, raw)
    if not found:
        raise BenchError(f"the two results have no workload of {subject} in common")
    shown = sorted((d for d in found if everything or d.counts), key=lambda d: -d.ratio[0])
    rows = [[d.workload, d.metric, table.ratio_text(d.ratio), f"{d.p:.2g}", d.verdict(bound)] for d in shown]
    failed = lost_workloads(a, b, subject)
    lines = table.grid(["workload", "metric", "B / A", "p", ""], rows) if rows else []
    lines += [f"{name}: failed in B: {why}" for name, why in failed]
    bad = sum(d.regression(bound) for d in found) + len(failed)
    lines += power_note(a, b, subject, found)
    lines.append(f"{len(found)} comparisons of {subject}, {sum(d.counts for d in found)} larger than the noise, "
                 f"{bad} regressions beyond {100 * bound:g} %")
    return lines, bad


# Agreement of two results on the order of allocators

def orders(view, metric):
    """(workload, x, y) -> -1 or +1, where the difference is significant."""
    keys, tests, ratios = [], [], []
    for workload in view.workloads:
        for x, y in itertools.combinations(view.allocators, 2):
            a, b = view.values(workload, x, metric), view.values(workload, y, metric)
            if a and b:
                keys.append((workload, *sorted((x, y))))
                if x > y:
                    a, b = b, a
                tests.append(statistics.rank_test(a, b))
                ratios.append(statistics.ratio_interval(a, b))
    flags = statistics.significant(tests)
    return {key: (1 if ratio[0] > 1 else -1) for key, ratio, flag in zip(keys, ratios, flags)
            if flag and not ratio[1] <= 1 <= ratio[2]}


def agreement(a, b):
    lines, contradictions = [], 0
    for title, metric in METRICS.items():
        x, y = orders(a, metric), orders(b, metric)
        both = [key for key in x if key in y]
        wrong = [key for key in both if x[key] != y[key]]
        contradictions += len(wrong)
        lines += [f"{title}, {workload}: {p} and {q} change places" for workload, p, q in wrong]
        lines.append(f"{title}: {len(both)} pairs significant in both ({len(x)} in A, {len(y)} in B), "
                     f"{len(wrong)} contradictions")
    return lines, contradictions


def bound_value(text):
    value = float(text.removesuffix("%")) / 100
    if not 0 <= value < 10:
        raise ValueError(text)
    return value


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise BenchError(message)


def parse(arguments):
    parser = Parser(prog="bench-compare", description="Which differences between two results exceed the noise?")
    parser.add_argument("a", metavar="A.json", help="the result before")
    parser.add_argument("b", metavar="B.json", help="the result after")
    parser.add_argument("--allocator", metavar="NAME", help="which one to compare (default: the subject of A)")
    parser.add_argument("--bound", type=bound_value, default=0.05, metavar="PERCENT",
                        help="a regression is worse by more than this (default 5)")
    parser.add_argument("--raw", action="store_true", help="do not divide by the peers' times of the same round")
    parser.add_argument("--all", action="store_true", help="also list what is within the noise")
    parser.add_argument("--agree", action="store_true", help="do both results order any two allocators alike?")
    return parser.parse_args(arguments)


def run(arguments):
    options = parse(arguments)
    a, b = results.View(results.load(options.a)), results.View(results.load(options.b))
    if options.agree:
        lines, bad = agreement(a, b)
    else:
        subject = options.allocator or a.subject
        for view, path in ((a, options.a), (b, options.b)):
            if subject not in view.allocators:
                raise BenchError(f"no allocator {subject} in {path}")
        lines, bad = report(a, b, subject, options.raw, options.bound, options.all)
    print("\n".join(lines))
    return 1 if bad else 0


def main(arguments):
    try:
        return run(arguments)
    except BenchError as error:
        print(f"bench-compare: {error}", file=sys.stderr)
        return 2
