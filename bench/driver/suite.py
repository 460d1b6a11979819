"""suite.py - runs workloads under allocators: interleaved, shuffled, verified.

    warm-up round (dropped), round 1, 2, ... N      in each round every workload, and within a workload every allocator
    then: memory (sampled resident size, settled size), latency (-latency programs), harness (allocator `nothing`)

Laws
    order       shuffled anew for every workload and round, by the seed
    prewarm     before each run as much memory is touched as the workload took at most so far; none in a cold run, which
                rests instead, so that the machine may take free pages back
    checksum    that of the reference (glibc, unless it is left out) must be everyone's, in every run
    failure     an allocator that fails a workload is out of it, and the reason stands in the result
    interrupt   what was measured is kept
"""

import dataclasses
import os
import random
import shutil
import time

from . import measure, progress

PREWARM_MARGIN_MIB = 32
PREWARM_FIRST_MIB = 256
SAMPLE_MS = 10


@dataclasses.dataclass(frozen=True)
class Length:
    name: str
    scale: float
    runs: int
    warm_ups: int
    settle: str           # seconds after the end, for every pattern
    settle_long: str      # and for those marked so
    extra_runs: int       # rounds of scaling and latency
    prewarm: bool
    rounds_alone: bool = False   # no scaling, latency, memory, harness


LENGTHS = {
    "smoke": Length("smoke", 0.02, 1, 0, "", "0.2", 0, False),
    "normal": Length("normal", 0.5, 7, 1, "1", "1,10", 3, True),
    "full": Length("full", 1.0, 11, 1, "1", "1,10", 5, True),
}


def cold(length):
    """Each run is a first one, and what rests change nothing about is the warm run's to tell."""
    return dataclasses.replace(length, warm_ups=0, rounds_alone=True)


@dataclasses.dataclass(frozen=True)
class Task:
    kind: str             # time, memory, latency, harness
    workload: object
    allocator: object
    round: int            # 0 = warm-up, dropped

    def cost_key(self):
        return (self.kind, self.workload.name)

    def title(self):
        return f"{self.workload.name} under {self.allocator.name} ({self.kind})"


class Plan:
    """All tasks of a run, in order."""

    def __init__(self, workloads, chosen, length, seed, runs):
        self.rng = random.Random(seed)
        self.chosen = chosen
        self.length = length
        self.tasks = []
        for number in range(1 - length.warm_ups, runs + 1):
            self.add("time", [w for w in workloads if w.group != "scaling"], number)
        if length.rounds_alone:
            return
        for number in range(1, max(1, length.extra_runs) + 1):
            self.add("time", [w for w in workloads if w.group == "scaling"], number)
            self.add("latency", [w for w in workloads if w.latency], number)
        self.add("memory", self.with_memory(workloads), 1)

    def with_memory(self, workloads):
        """Patterns have a settled size; of the programs those that are drawn over time."""
        if self.length.name == "smoke":
            return [w for w in workloads if w.settle_long or w.rss_picture][:4]
        return [w for w in workloads if w.group != "scaling" and (w.pattern or w.rss_picture)]

    def add(self, kind, workloads, number):
        for workload in workloads:
            order = list(self.chosen)
            self.rng.shuffle(order)
            self.tasks += [Task(kind, workload, allocator, number) for allocator in order]


def unfit_reason(workload, allocator):
    """Why this pair need not even be tried, or None."""
    absent = [name for name in workload.programs if shutil.which(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    missing = [name for name in workload.needs if name in allocator.missing]
    if missing:
        return f"missing function: {', '.join(missing)}"
    return None


class Suite:
    def __init__(self, launcher, places, length, seed, reference, cold_rest_s=None, timeout_s=measure.TIMEOUT_S,
                 stdin=None):
        self.launcher = launcher
        self.reference = reference   # the allocator whose checksums count
        self.places = places
        self.length = length
        self.seed = seed
        self.cold_rest_s = cold_rest_s
        self.timeout_s = timeout_s   # 0 = none
        self.stdin = stdin           # a file, or None for /dev/null
        self.samples, self.failures = [], []
        self.memory, self.latency, self.harness = [], [], []
        self.checksums = {}     # workload -> {allocator: checksum}
        self.out = set()        # (workload, allocator) that have failed
        self.peak_mib = {}      # workload -> most memory seen

    # One run

    def options(self, task):
        options = {"preload_variable": task.workload.preload_variable, "timeout": self.timeout_s}
        if self.cold_rest_s is None and self.length.prewarm:
            options["prewarm"] = self.peak_mib.get(task.workload.name, PREWARM_FIRST_MIB) + PREWARM_MARGIN_MIB
        if task.kind == "memory" and task.workload.rss_picture:
            options["sample_ms"] = SAMPLE_MS
        return options

    def command(self, task):
        workload = task.workload
        scale = LENGTHS["smoke"].scale if task.kind == "harness" else self.length.scale
        words = workload.words(self.places, workload.scaled(scale), self.seed)
        if task.kind == "latency":
            words[0] += "-latency"
        settle = self.length.settle_long if workload.settle_long else self.length.settle
        if task.kind == "memory" and workload.pattern and settle:
            words += ["--settle", settle]
        return words

    def perform(self, task):
        if self.cold_rest_s is not None:
            time.sleep(self.cold_rest_s)
        with open(self.stdin or os.devnull, "rb") as stdin:
            sample = self.launcher.run(task.allocator, self.command(task), task.workload.environment, stdin,
                                       **self.options(task))
        sample = measure.read_result(task.workload, sample)
        peak_mib = sample["peak_rss_kib"] >> 10
        if task.kind != "harness":
            self.peak_mib[task.workload.name] = max(peak_mib, self.peak_mib.get(task.workload.name, 0))
        return sample

    # Verification

    def drop_out(self, workload, allocator, why):
        self.out.add((workload, allocator))
        self.failures.append({"workload": workload, "allocator": allocator, "why": why})
        for kept in (self.samples, self.memory, self.latency):
            kept[:] = [s for s in kept if (s["workload"], s["allocator"]) != (workload, allocator)]

    def verify(self, task, checksum):
        """Own runs agree, and so do those of all allocators once the reference has run."""
        if task.kind == "harness" or not task.workload.verified:
            return
        known = self.checksums.setdefault(task.workload.name, {})
        if known.setdefault(task.allocator.name, checksum) != checksum:
            self.drop_out(task.workload.name, task.allocator.name, "wrong result: it changes from run to run")
            return
        right = known.get(self.reference)
        for name, value in known.items():
            if right is not None and value != right and (task.workload.name, name) not in self.out:
                self.drop_out(task.workload.name, name, f"wrong result: not that of {self.reference}")

    # A whole plan

    def keep(self, task, sample):
        sample = dict(sample, workload=task.workload.name, allocator=task.allocator.name, round=task.round)
        {"time": self.samples, "memory": self.memory, "latency": self.latency, "harness": self.harness}[
            task.kind].append(sample)

    def attempt(self, task):
        pair = (task.workload.name, task.allocator.name)
        if pair in self.out:
            return
        why = unfit_reason(task.workload, task.allocator)
        if why:
            self.drop_out(*pair, why)
            return
        try:
            sample = self.perform(task)
        except measure.Unfit as error:
            self.fail(task, str(error))
            return
        if task.round > 0:
            self.keep(task, sample)
        self.verify(task, sample["checksum"])

    def fail(self, task, why):
        if task.kind == "harness":
            self.harness.append({"workload": task.workload.name, "why": why})
        else:
            self.drop_out(task.workload.name, task.allocator.name, why)

    def run(self, tasks, after_each=lambda: None):
        """Runs all; returns False when interrupted."""
        line = progress.Progress([task.cost_key() for task in tasks])
        try:
            for task in tasks:
                line.announce(task.title())
                start = time.monotonic()
                self.attempt(task)
                line.finished(task.cost_key(), time.monotonic() - start)
                after_each()
            return True
        except KeyboardInterrupt:
            return False
        finally:
            line.end()


def harness_tasks(workloads, nothing, rounds):
    """What the harness itself costs: each pattern, at the smoke length, under the allocator that does nothing."""
    patterns = [workload for workload in workloads if workload.pattern and workload.group != "scaling"]
    return [Task("harness", workload, nothing, number) for number in range(1, rounds + 1) for workload in patterns]
