"""pictures.py - a result as SVG, drawn by matplotlib.

    summary.svg   time and peak RSS of ours relative to each peer, by group, with 95 % intervals
    time.svg, rss.svg   every workload: each allocator relative to glibc, with quartiles
    rss-over-time.svg   resident size while a workload runs and settles
    scaling.svg   operations in a second over the number of threads
    latency.svg   p50, p99, p99.9 and max of single calls

Law  an allocator has the same colour and mark in all pictures; the same result gives the same bytes.
"""

import io
import os

from . import results, statistics, table
from .errors import BenchError

COLOURS = {"nebmalloc": "#c1121f", "glibc": "#495057", "jemalloc": "#1d70b8", "mimalloc": "#2a9d4a",
           "tcmalloc": "#e08e0b", "tbb": "#7b4fa3", "scudo": "#8a5a34"}
SPARE = ("#17a2a2", "#d0578f", "#96a80f", "#5b6dcd", "#333333")
MARKS = "osD^vPX<>*hp"


def load_library():
    """matplotlib, with what makes its output repeatable."""
    try:
        import matplotlib
    except ImportError as error:
        raise BenchError("no pictures: python3-matplotlib is not installed") from error
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "nebmalloc", "svg.fonttype": "path", "font.size": 9,
                                "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
                                "grid.alpha": 0.3, "legend.frameon": False, "figure.constrained_layout.use": True})
    import matplotlib.pyplot
    return matplotlib.pyplot


def style(view, allocator):
    index = view.allocators.index(allocator)
    spare = [name for name in view.allocators if name not in COLOURS]
    colour = COLOURS.get(allocator) or SPARE[spare.index(allocator) % len(SPARE)]
    return {"color": colour, "marker": MARKS[index % len(MARKS)]}


def save(plot, figure, path):
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plot.close(figure)
    text = "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"
    results.write_text(path, text)


def ratio_axis(axis, label):
    axis.axhline(1, color="black", linewidth=0.8)
    axis.set_ylabel(label)
    axis.set_ylim(bottom=0)


def summary_panel(view, axis, metric, label):
    groups = list(table.GROUPS) + [(table.ALL, "all")]
    peers = view.peers()
    width = 0.8 / len(peers)
    for place, peer in enumerate(peers):
        entry = f"against {peer}"
        for index, (group, _) in enumerate(groups):
            names = view.names(*([group] if isinstance(group, str) else group))
            interval = statistics.mean_ratio_interval(table.pairs(view, names, view.subject, peer, metric))
            if interval is None:
                continue
            mean, low, high = interval
            axis.bar(index + (place - (len(peers) - 1) / 2) * width, mean, width * 0.9,
                     color=style(view, peer)["color"], yerr=[[max(0, mean - low)], [max(0, high - mean)]],
                     error_kw={"linewidth": 0.8}, label=entry)
            entry = None  # one in the legend is enough
    axis.set_xticks(range(len(groups)), [title for _, title in groups])
    ratio_axis(axis, label)


def draw_summary(plot, view, path):
    figure, axes = plot.subplots(2, 1, figsize=(9, 6.4))
    summary_panel(view, axes[0], "wall_s", f"time, {view.subject} / peer")
    summary_panel(view, axes[1], "peak_rss_kib", f"peak RSS, {view.subject} / peer")
    axes[0].legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.22))
    axes[0].set_title("below 1: the peer is worse; bars: geometric mean, whiskers: 95 % interval", loc="right",
                      fontsize=7, y=-0.22)
    save(plot, figure, path)


def draw_workloads(plot, view, path, metric, label):
    """Each allocator's median and quartiles, relative to the median of the first allocator."""
    names = [name for name in view.names(*table.ALL) if view.values(name, view.allocators[0], metric)]
    if not names:
        return
    figure, axis = plot.subplots(figsize=(9, 0.26 * len(names) + 1.4))
    for place, allocator in enumerate(view.allocators):
        offset = 0.5 * (place / max(1, len(view.allocators) - 1) - 0.5)
        points = workload_points(view, names, allocator, metric, offset)
        if points:
            y, x, low, high = zip(*points)
            axis.errorbar(x, y, xerr=[low, high], linestyle="none", markersize=4, elinewidth=0.7, label=allocator,
                          **style(view, allocator))
    axis.set_xscale("log")
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel(f"{label}, relative to {view.allocators[0]} (less is better)")
    axis.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    save(plot, figure, path)


def workload_points(view, names, allocator, metric, offset):
    points = []
    for row, name in enumerate(names):
        values = view.values(name, allocator, metric)
        if not values:
            continue
        unit = max(statistics.median(view.values(name, view.allocators[0], metric)), 1e-12)
        middle = statistics.median(values) / unit
        points.append((row + offset, middle, middle - statistics.quantile(values, 0.25) / unit,
                       statistics.quantile(values, 0.75) / unit - middle))
    return points


def panels(plot, names, width=4.4, height=2.6):
    """A grid of small pictures, two in a row."""
    rows = (len(names) + 1) // 2
    figure, axes = plot.subplots(rows, 2, figsize=(2 * width, rows * height + 0.4), squeeze=False)
    flat = list(axes.flat)
    for axis in flat[len(names):]:
        axis.set_visible(False)
    for axis, name in zip(flat, names):
        axis.set_title(name)
    return figure, flat


def legend(figure, axes, view):
    """One for all panels, with every allocator that occurs in any, in the usual order."""
    found = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        found.update(zip(labels, handles))
    entries = {name: found[name] for name in view.allocators if name in found}
    height = 1 - 0.35 / figure.get_size_inches()[1]
    figure.get_layout_engine().set(rect=(0, 0, 1, height))
    figure.legend(entries.values(), entries.keys(), ncols=8, loc="upper center")


def draw_rss_over_time(plot, view, path):
    series = {}
    for sample in view.result["memory"]:
        if len(sample.get("rss", [])) > 2:
            series.setdefault(sample["workload"], {})[sample["allocator"]] = sample["rss"]
    names = [name for name in view.workloads if name in series and view.workloads[name].get("rss_picture")]
    if not names:
        return
    figure, axes = panels(plot, names)
    for axis, name in zip(axes, names):
        for allocator, points in series[name].items():
            axis.plot([at for at, _ in points], [kib / 1024 for _, kib in points], label=allocator, linewidth=1,
                      color=style(view, allocator)["color"])
        axis.set_xlabel("s")
        axis.set_ylabel("RSS, MiB")
        axis.set_ylim(bottom=0)
    legend(figure, axes, view)
    save(plot, figure, path)


def scaling_series(view, name):
    """Allocator -> [(threads, operations in a second)]."""
    series = {}
    for workload in view.names("scaling"):
        if workload.split("@")[0] != name:
            continue
        for allocator in view.allocators:
            samples = view.by_pair.get((workload, allocator), [])
            rates = [sample["operations"] / max(sample["wall_s"], 1e-9) for sample in samples]
            if rates:
                series.setdefault(allocator, []).append((view.workloads[workload]["threads"], statistics.median(rates)))
    return series


def draw_scaling(plot, view, path):
    names = list(dict.fromkeys(name.split("@")[0] for name in view.names("scaling")))
    series = {name: scaling_series(view, name) for name in names}
    names = [name for name in names if series[name]]
    if not names:
        return
    figure, axes = panels(plot, names)
    for axis, name in zip(axes, names):
        for allocator, points in series[name].items():
            axis.plot(*zip(*points), label=allocator, linewidth=1, markersize=4, **style(view, allocator))
        axis.set_xscale("log", base=2)
        threads = sorted({point[0] for points in series[name].values() for point in points})
        axis.set_xticks(threads, [str(count) for count in threads])
        axis.set_xlabel("threads")
        axis.set_ylabel("operations / s")
        axis.set_ylim(bottom=0)
    legend(figure, axes, view)
    save(plot, figure, path)


def draw_latency(plot, view, path):
    found = table.latency_rows(view)
    names = list(dict.fromkeys((name, call) for name, call, _ in found))
    if not names:
        return
    fields = (("p50_ns", "p50"), ("p99_ns", "p99"), ("p99_9_ns", "p99.9"), ("max_ns", "max"))
    figure, axes = panels(plot, [f"{name}, {call}" for name, call in names], height=2.2)
    for axis, (name, call) in zip(axes, names):
        for allocator in view.allocators:
            entries = found.get((name, call, allocator))
            if entries:
                axis.plot(range(len(fields)), [statistics.median([entry[field] for entry in entries])
                                               for field, _ in fields],
                          label=allocator, linewidth=0.7, markersize=4, **style(view, allocator))
        axis.set_xticks(range(len(fields)), [title for _, title in fields])
        axis.set_yscale("log")
        axis.set_ylabel("ns")
    legend(figure, axes, view)
    save(plot, figure, path)


def draw_all(view, directory):
    if not view.by_pair:
        return
    plot = load_library()
    place = lambda name: os.path.join(directory, name)
    if view.peers():
        draw_summary(plot, view, place("summary.svg"))
    draw_workloads(plot, view, place("time.svg"), "wall_s", "time")
    draw_workloads(plot, view, place("rss.svg"), "peak_rss_kib", "peak RSS")
    draw_rss_over_time(plot, view, place("rss-over-time.svg"))
    draw_scaling(plot, view, place("scaling.svg"))
    draw_latency(plot, view, place("latency.svg"))
