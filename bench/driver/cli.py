"""cli.py - the command scripts/bench.

    scripts/bench [options]                  the suite
    scripts/bench [options] -- CMD ...       the user's command under each allocator
    scripts/bench --record FILE -- CMD ...   records its allocations;  --replay FILE  replays them

Exit status  0; 1 ours failed a workload, or a regression against --baseline; 2 wrong input; 130 interrupted, with
             what was measured written
"""

import argparse
import os
import re
import signal
import sys
import time
import zlib

from . import (allocators, build, catalogue, command, compare, machine, measure, packages, pictures, results, suite,
               table, trace)
from .errors import BenchError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
SAVE_EVERY_S = 60.0
COLD_REST_S = 3.0


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise BenchError(message)


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def parser():
    p = Parser(prog="scripts/bench", description="Measures allocators against each other; see bench/README.md.")
    p.add_argument("--length", choices=suite.LENGTHS, default="normal", help="smoke: a minute; normal: under an hour; full")
    p.add_argument("--runs", type=positive, metavar="N", help="rounds, instead of those of the length")
    p.add_argument("--only", metavar="REGEX", help="workloads whose name matches")
    p.add_argument("--list", action="store_true", help="list the workloads")
    p.add_argument("--peer", action="append", default=[], metavar="NAME=[VARIABLE=VALUE ]LIB",
                   help="one more allocator, with its options")
    p.add_argument("--without", action="append", default=[], metavar="NAME", help="leave an allocator out")
    p.add_argument("--aa", action="append", default=[], metavar="NAME", help="let an allocator run twice (A/A check)")
    p.add_argument("--lib", metavar="PATH", help="the nebmalloc library, instead of the build's")
    p.add_argument("--threads", type=positive, metavar="N", help="of the threaded workloads (default: the cores)")
    p.add_argument("--seed", type=positive, default=1, metavar="N")
    p.add_argument("--cold", action="store_true", help="no prewarmed memory, a rest before each run; time and peak memory alone")
    p.add_argument("--baseline", metavar="FILE", help="an earlier result; exit status 1 on a regression")
    p.add_argument("--bound", type=compare.bound_value, default=0.05, metavar="PERCENT",
                   help="of --baseline (default 5)")
    p.add_argument("--out", metavar="DIR", help="where the result goes (default: in the build directory)")
    p.add_argument("--publish", action="store_true", help="copy a complete result to bench/results/warm or cold")
    p.add_argument("--redraw", metavar="FILE", help="table and pictures from an earlier result, into --out")
    p.add_argument("--record", metavar="FILE", help="record the allocations of CMD")
    p.add_argument("--replay", metavar="FILE", help="replay recorded allocations under each allocator")
    p.add_argument("--stdin", metavar="FILE", help="standard input of CMD (default: empty)")
    p.add_argument("--build-dir", metavar="DIR", help="a build to use (default: the newest release build)")
    p.add_argument("--no-build", action="store_true", help="do not build")
    p.add_argument("--no-install", action="store_true", help="do not install missing packages")
    p.add_argument("--no-pictures", action="store_true")
    return p


def say(text):
    print(text, file=sys.stderr)


def split(arguments):
    """The options, and the words after `--`."""
    if "--" not in arguments:
        return arguments, None
    place = arguments.index("--")
    if place + 1 == len(arguments):
        raise BenchError("no command after --")
    return arguments[:place], arguments[place + 1:]


def core_count():
    return min(16, max(2, len(os.sched_getaffinity(0))))


def choose(workloads, only):
    if only is None:
        return workloads
    try:
        chosen = [workload for workload in workloads if re.search(only, workload.name)]
    except re.error as error:
        raise BenchError(f"--only: not a regular expression: {error}") from error
    if not chosen:
        raise BenchError(f"--only: no workload matches '{only}' (--list shows them)")
    return chosen


def check_readable(path):
    if path is not None and not os.access(path, os.R_OK):
        raise BenchError(f"cannot read {path}")


def check(options, words):
    """Everything that can be wrong is found before anything runs."""
    check_readable(options.stdin)
    check_readable(options.replay)
    if options.record and words is None:
        raise BenchError("--record wants a command after --")
    if words is not None and options.replay:
        raise BenchError("--replay takes no command")
    if options.out and os.path.exists(os.path.join(options.out, "result.json")):
        raise BenchError(f"{options.out} holds a result; it is not overwritten")
    if options.publish and (words or options.replay or options.only):
        raise BenchError("--publish is for the whole suite")
    return results.View(results.load(options.baseline)) if options.baseline else None


class Places:
    """Directories of this run."""

    def __init__(self, options):
        if not options.no_install:
            packages.install_missing(say)
        if options.build_dir:
            self.build = os.path.abspath(options.build_dir)
            if not options.no_build:
                build.run(["ninja", "-C", self.build], os.path.join(self.build, "bench-build.log"), "the build")
        else:
            self.build = build.newest(ROOT) if options.no_build else build.build(ROOT)
        if self.build is None:
            raise BenchError("there is no release build (leave out --no-build)")
        self.bin = os.path.join(self.build, "bench")
        self.library = options.lib or os.path.join(self.build, build.LIBRARY)
        if not os.path.exists(self.program("launch")):
            raise BenchError(f"{os.path.relpath(self.build)} holds no benchmark programs")

    def program(self, name):
        return os.path.join(self.bin, f"bench-{name}")

    def preload(self, name):
        return os.path.join(self.bin, f"libbench-{name}.so")

    def inputs(self, length):
        """Made once for each length, and anew when their maker has changed."""
        sys.path.insert(0, os.path.join(ROOT, "bench", "macro"))
        import inputs
        with open(inputs.__file__, "rb") as file:
            made_by = zlib.crc32(file.read())
        directory = os.path.join(self.build, f"bench-inputs-{length.name}-{made_by:08x}")
        inputs.make(directory, length.scale)
        return directory

    def words(self, length):
        return {"bin": self.bin, "macro": os.path.join(ROOT, "bench", "macro"), "inputs": self.inputs(length)}

    def out(self, options, length):
        name = time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + length.name
        directory = options.out or os.path.join(self.build, "bench-results", name)
        try:
            os.makedirs(directory, exist_ok=True)
        except OSError as error:
            raise BenchError(f"cannot write to {directory}: {error.strerror}") from error
        return directory


def header(options, length, runs, chosen, absent, workloads):
    names = [allocator.name for allocator in chosen]
    return {
        "format": results.FORMAT, "version": results.VERSION, "complete": False,
        "date": time.strftime("%Y-%m-%d", time.gmtime()), "length": length.name, "runs": runs,
        "warm_ups": length.warm_ups, "seed": options.seed, "cold": options.cold,
        "subject": allocators.OURS if allocators.OURS in names else names[0], "commit": machine.commit(ROOT),
        "machine": machine.describe(), "allocators": [allocator.record() for allocator in chosen], "absent": absent,
        "workloads": [workload.record() for workload in workloads],
    }


def result_of(head, run, complete):
    return dict(head, complete=complete, samples=run.samples, failures=run.failures, memory=run.memory,
                latency=run.latency, harness=run.harness)


class Saver:
    """Writes what there is once a minute, so that nothing is lost whatever happens."""

    def __init__(self, path, head, run):
        self.path, self.head, self.run = path, head, run
        self.last = time.monotonic()

    def after_each(self):
        if time.monotonic() - self.last >= SAVE_EVERY_S:
            self.save(False)

    def save(self, complete):
        results.save(self.path, result_of(self.head, self.run, complete))
        self.last = time.monotonic()


def draw(view, directory, options, title):
    results.write_text(os.path.join(directory, "result.md"), table.markdown(view, title))
    if options.no_pictures:
        return
    try:
        pictures.draw_all(view, directory)
    except BenchError as error:
        say(f"bench: {error}")


def title(result):
    return f"Benchmark of {result['date']}, length {result['length']}"


def publish(directory, cold):
    """Table, pictures and data, each replaced at once; those of a cold run in a place of their own."""
    target = os.path.join(ROOT, "bench", "results", "cold" if cold else "warm")
    os.makedirs(target, exist_ok=True)
    for name in sorted(os.listdir(directory)):
        if name.endswith((".json", ".md", ".svg")):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                results.write_text(os.path.join(target, name), file.read())
    say(f"published in {os.path.relpath(target)}")


def collect(places, options):
    return allocators.collect(places.program("probe"), places.library, options.peer, options.without, options.aa)


def run_suite(options, places, scratch):
    length = suite.cold(suite.LENGTHS[options.length]) if options.cold else suite.LENGTHS[options.length]
    workloads = choose(catalogue.everything(options.threads or core_count()), options.only)
    if length.name == "smoke" and options.only is None:
        workloads = [workload for workload in workloads if workload.group != "scaling"]
    chosen, absent = collect(places, options)
    runs = options.runs or length.runs
    tasks = suite.Plan(workloads, chosen, length, options.seed, runs).tasks
    if not length.rounds_alone:
        nothing = allocators.load(places.program("probe"), "nothing", places.preload("nothing"))
        tasks += suite.harness_tasks(workloads, nothing, max(1, length.extra_runs))
    run = suite.Suite(measure.Launcher(places.program("launch"), scratch), places.words(length), length, options.seed,
                      chosen[0].name, COLD_REST_S if options.cold else None)
    directory = places.out(options, length)
    saver = Saver(os.path.join(directory, "result.json"), header(options, length, runs, chosen, absent, workloads), run)
    complete = run.run(tasks, saver.after_each)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the rest takes seconds and must not be lost
    saver.save(complete)
    view = results.View(result_of(saver.head, run, complete))
    draw(view, directory, options, title(view.result))
    print("\n".join(table.summary(view) + table.losses(view))) if view.peers() else None
    say(f"result in {os.path.relpath(directory)}")
    return view, directory


def run_command(options, places, scratch, words):
    length = command.length(options.runs)
    workload = command.own(words) if words else command.replay(places.program("replay"), options.replay, scratch)
    chosen, absent = collect(places, options)
    tasks = suite.Plan([workload], chosen, length, options.seed, length.runs).tasks
    run = suite.Suite(measure.Launcher(places.program("launch"), scratch), {}, length, options.seed, chosen[0].name,
                      COLD_REST_S if options.cold else None, 0, options.stdin)
    complete = run.run(tasks, lambda: command.refuse_failure(run, chosen[0].name))
    head = header(options, length, length.runs, chosen, absent, [workload])
    view = results.View(result_of(head, run, complete))
    if view.by_pair:
        print("\n".join(command.lines(view)))
    if options.out:
        directory = places.out(options, length)
        results.save(os.path.join(directory, "result.json"), view.result)
        draw(view, directory, options, workload.what)
    return 0 if complete else 130


def redraw(options):
    view = results.View(results.load(options.redraw))
    directory = options.out or os.path.dirname(os.path.abspath(options.redraw))
    os.makedirs(directory, exist_ok=True)
    draw(view, directory, options, title(view.result))
    return 0


def failed_ours(view):
    """Workloads that ours did not do; a program that is not installed is nobody's failure."""
    return [(name, why) for (name, allocator), why in view.failures.items()
            if allocator == allocators.OURS and not why.startswith("not installed")]


def judge(options, view, directory, baseline):
    if not view.result["complete"]:
        return 130
    status = 0
    for name, why in failed_ours(view):
        say(f"bench: {allocators.OURS} failed {name}: {why}")
        status = 1
    if baseline:
        lines, bad = compare.report(baseline, view, view.subject, False, options.bound)
        print("\n".join(["", *lines]))
        status = 1 if bad else status
    if options.publish:
        publish(directory, options.cold)
    return status


def list_workloads(options):
    for workload in choose(catalogue.everything(options.threads or core_count()), options.only):
        print(f"{workload.group:9} {workload.name:18} {workload.what}")
    return 0


def run(arguments):
    before, words = split(arguments)
    options = parser().parse_args(before)
    if options.list:
        return list_workloads(options)
    if options.redraw:
        return redraw(options)
    baseline = check(options, words)
    if words is None and not options.replay:
        choose(catalogue.everything(2), options.only)
    places = Places(options)
    if options.record:
        for path, events in trace.record(words, places.preload("record"), options.record):
            say(f"{path}: {events} events")
        return 0
    with measure.scratch() as scratch:
        if words or options.replay:
            return run_command(options, places, scratch, words)
        view, directory = run_suite(options, places, scratch)
    return judge(options, view, directory, baseline)


def interrupt(_signal, _frame):
    raise KeyboardInterrupt


def main(arguments):
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return run(arguments)
    except BenchError as error:
        say(f"bench: {error}")
        return 2
    except KeyboardInterrupt:
        say("bench: interrupted")
        return 130
