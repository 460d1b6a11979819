"""table.py - a result as Markdown: the summary first, then what we lose at, then every cell.

Law  no silent gap: a cell without a number says why, by a footnote.
"""

from . import statistics

GROUPS = (("single", "one thread"), ("threads", "several threads"), ("programs", "real programs"))
ALL = tuple(name for name, _ in GROUPS)


def grid(head, rows):
    """A Markdown table; the first column is text, all others are numbers."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


class Notes:
    """Footnotes: equal reasons share one."""

    def __init__(self):
        self.numbers = {}

    def mark(self, why):
        return f"[{self.numbers.setdefault(why, len(self.numbers) + 1)}]"

    def lines(self):
        return [""] + [f"[{number}] {why}  " for why, number in self.numbers.items()] if self.numbers else []


def number(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def pairs(view, names, a, b, metric):
    return [(view.values(name, a, metric), view.values(name, b, metric)) for name in names]


def ratio_text(interval):
    if interval is None:
        return "-"
    return f"{interval[0]:.2f} ({interval[1]:.2f}..{interval[2]:.2f})"


def facts(result):
    machine = result["machine"]
    lines = [f"Length {result['length']}, {result['runs']} rounds after {result['warm_ups']} dropped, seed "
             f"{result['seed']}, {'cold' if result['cold'] else 'warm'}, commit {result['commit']}."]
    if not result["complete"]:
        lines.append("**Interrupted: not all rounds were run.**")
    lines.append(f"{machine['processor']}, {machine['cores']} cores, {machine['memory_mib']} MiB"
                 f"{', virtual machine' if machine['virtual_machine'] else ''}; Linux {machine['kernel']}, "
                 f"{machine['distribution']}, {machine['glibc']}, {machine['compiler']}; huge pages "
                 f"{machine['huge_pages']} (defrag {machine['huge_pages_defrag']}).")
    return [line + "  " for line in lines]


def allocators_used(result):
    rows = [[a["name"], a["version"], ", ".join(a["missing"]) or "none"] for a in result["allocators"]]
    rows += [[name, why, "-"] for name, why in result["absent"].items()]
    return ["", "## Allocators", "", *grid(["allocator", "version", "functions left to glibc"], rows)]


def summary_row(view, title, names, metric):
    return [title] + [ratio_text(statistics.mean_ratio_interval(pairs(view, names, view.subject, peer, metric)))
                      for peer in view.peers()]


def summary(view):
    lines = ["", f"## {view.subject} relative to each peer", "",
             "Geometric mean over workloads of the ratio of medians (95 % interval by bootstrap); below 1, "
             f"{view.subject} is better.", ""]
    rows = [summary_row(view, f"time, {title}", view.names(group), "wall_s") for group, title in GROUPS]
    rows.append(summary_row(view, "time, all", view.names(*ALL), "wall_s"))
    rows.append(summary_row(view, "processor time, all", view.names(*ALL), "cpu_s"))
    rows += [summary_row(view, f"peak RSS, {title}", view.names(group), "peak_rss_kib") for group, title in GROUPS]
    rows.append(summary_row(view, "peak RSS, all", view.names(*ALL), "peak_rss_kib"))
    rows.append(summary_row(view, "page faults, all", view.names(*ALL), "minor_faults"))
    return lines + grid(["", *view.peers()], rows)


def lost(view, metric):
    """(workload, best peer, ratio and interval) wherever a peer is better by more than the noise."""
    found = []
    for name in view.names(*ALL):
        mine = view.values(name, view.subject, metric)
        others = {peer: view.values(name, peer, metric) for peer in view.peers()}
        others = {peer: values for peer, values in others.items() if values}
        if not mine or not others:
            continue
        best = min(others, key=lambda peer: statistics.median(others[peer]))
        interval = statistics.ratio_interval(mine, others[best])
        found.append((name, best, interval, statistics.rank_test(mine, others[best])))
    flags = statistics.significant([p for *_, p in found])
    return [(name, best, interval) for (name, best, interval, _), flag in zip(found, flags)
            if flag and interval[1] > 1]


def losses(view):
    lines = ["", f"## What {view.subject} loses at", "",
             "Against the best peer of each workload, where the difference exceeds the noise (rank test, at most 5 % "
             "false).", ""]
    rows = []
    for metric, title in (("wall_s", "time"), ("peak_rss_kib", "peak RSS")):
        rows += [[f"{title}, {name}", best, ratio_text(interval)]
                 for name, best, interval in sorted(lost(view, metric), key=lambda item: -item[2][0])]
    if not rows:
        few = min((len(view.values(name, view.subject, "wall_s")) for name in view.names(*ALL)), default=0) < 4
        return lines + ["Too few rounds to say." if few else "Nothing."]
    return lines + grid(["", "best peer", "ratio"], rows)


def spread(values):
    """Half the distance between the quartiles, in percent of the median."""
    middle = statistics.median(values)
    if len(values) < 3 or middle == 0:
        return ""
    half = (statistics.quantile(values, 0.75) - statistics.quantile(values, 0.25)) / 2
    return f" ±{100 * half / middle:.0f}"


def cell(view, name, allocator, metric, unit, best, notes):
    values = view.values(name, allocator, metric)
    if not values:
        return notes.mark(view.why_not(name, allocator))
    middle = statistics.median(values)
    text = number(middle / unit)
    return (f"**{text}**" if middle == best else text) + spread(values)


def cells(view, names, metric, unit, notes):
    rows = []
    for name in names:
        medians = [statistics.median(values) for values in
                   (view.values(name, allocator, metric) for allocator in view.allocators) if values]
        best = min(medians, default=None)
        rows.append([name] + [cell(view, name, allocator, metric, unit, best, notes)
                              for allocator in view.allocators])
    return grid(["", *view.allocators], rows)


def detail(view):
    lines = []
    for metric, unit, title in (("wall_s", 1e-3, "Time, ms"), ("cpu_s", 1e-3, "Processor time, ms"),
                                ("peak_rss_kib", 1024, "Peak RSS, MiB"), ("minor_faults", 1, "Page faults"),
                                ("system_s", 1e-3, "System time, ms")):
        notes = Notes()
        lines += ["", f"## {title}", "", "Median, ± half the interquartile range in percent; the best in bold.", ""]
        lines += cells(view, view.names(*ALL), metric, unit, notes) + notes.lines()
    return lines


def settled(view):
    """Resident size after everything was freed, at each time that was waited."""
    found = {}
    for sample in view.result["memory"]:
        for after_s, kib in sample.get("settled", []):
            found.setdefault((sample["workload"], after_s), {})[sample["allocator"]] = kib
    if not found:
        return []
    rows = [[f"{name}, {after_s:g} s"] + [number(row[a] / 1024) if a in row else "-" for a in view.allocators]
            for (name, after_s), row in found.items()]
    means = [f"{statistics.geometric_mean([row[a] / 1024 for row in found.values() if a in row]):.2f}"
             if any(a in row for row in found.values()) else "-" for a in view.allocators]
    return ["", "## Settled RSS, MiB", "", "Resident size this long after everything was freed; meanwhile one malloc "
            "and free every 50 ms.", "", *grid(["", *view.allocators], rows + [["geometric mean"] + means])]


def latency_rows(view):
    found = {}
    for sample in view.result["latency"]:
        for call in ("malloc", "free"):
            key = (sample["workload"], call, sample["allocator"])
            found.setdefault(key, []).append(sample["latency"][call])
    return found


def latency_cell(entries):
    if not entries:
        return "-"
    return " / ".join(number(statistics.median([entry[field] for entry in entries]))
                      for field in ("p50_ns", "p99_ns", "p99_9_ns", "max_ns"))


def latency(view):
    found = latency_rows(view)
    if not found:
        return []
    calls = list(dict.fromkeys((name, call) for name, call, _ in found))
    rows = [[f"{name}, {call}"] + [latency_cell(found.get((name, call, allocator))) for allocator in view.allocators]
            for name, call in calls]
    empty = statistics.median([s["latency"]["empty"]["p50_ns"] for s in view.result["latency"]])
    return ["", "## Latency of a single call, ns", "",
            "p50 / p99 / p99.9 / max, each the median of the rounds, by the cycle counter. An empty bracket costs "
            f"{number(empty)} ns, which is included; max is mostly the scheduler's.", "",
            *grid(["", *view.allocators], rows)]


def scaling(view):
    names = view.names("scaling")
    if not names:
        return []
    notes = Notes()
    return ["", "## Scaling, ms", "", *cells(view, names, "wall_s", 1e-3, notes), *notes.lines()]


def optin(view):
    """In no mean: under other allocators the headers of the opt-in API fall back to malloc."""
    names = view.names("optin")
    if not names:
        return []
    notes = Notes()
    return ["", "## Programs that use the opt-in API", "",
            f"The calls reach {view.subject} when it is preloaded; elsewhere the API's headers fall back to malloc. Not part "
            "of the means above. Time, ms:", "", *cells(view, names, "wall_s", 1e-3, notes), "", "Peak RSS, MiB:", "",
            *cells(view, names, "peak_rss_kib", 1024, notes), *notes.lines()]


def operation_ns(sample):
    return sample["work_s"] / max(1, sample["operations"]) * 1e9


def harness_row(view, name, entries):
    times = [statistics.median([operation_ns(sample) for sample in samples])
             for (workload, _), samples in view.by_pair.items() if workload == name]
    fastest = number(min(times)) if times else "-"
    own = [operation_ns(entry) for entry in entries if "work_s" in entry]
    if not own:
        return [name, "-", fastest, entries[0]["why"]]
    return [name, number(min(own)), fastest, ""]


def harness_cost(view):
    """The harness's own time for one operation beside that under the fastest allocator."""
    own = {}
    for entry in view.result["harness"]:
        own.setdefault(entry["workload"], []).append(entry)
    rows = [harness_row(view, name, entries) for name, entries in own.items()]
    if not rows:
        return []
    return ["", "## The harness's own cost, ns for an operation", "",
            "An operation is one allocation and its free, with the checks and writes the pattern makes. `nothing` is "
            "an allocator that only advances a pointer. It is an upper bound of the harness's own cost, since it "
            "reuses next to nothing and so runs through cold memory; runs are of the smoke length, the best of them counts.",
            "", *grid(["", "nothing", "fastest allocator", "note"], rows)]


def same_twice(view):
    """The A/A check: an allocator against itself."""
    lines = []
    for twin in (name for name in view.allocators if name.endswith("#2")):
        original = twin.removesuffix("#2")
        names = view.names(*ALL)
        tests = [statistics.rank_test(*pair) for pair in pairs(view, names, twin, original, "wall_s")]
        wrong = sum(statistics.significant(tests))
        mean = statistics.mean_ratio_interval(pairs(view, names, twin, original, "wall_s"))
        lines.append(f"{original} against itself: {ratio_text(mean)} in time; {wrong} of {len(tests)} workloads "
                     "differ significantly.  ")
    return ["", "## A/A check", "", *lines] if lines else []


def markdown(view, title):
    lines = [f"# {title}", "", *facts(view.result)]
    for part in (summary(view), losses(view), same_twice(view), detail(view), settled(view), latency(view),
                 optin(view), scaling(view), harness_cost(view), allocators_used(view.result)):
        lines += part
    return "\n".join(lines) + "\n"
