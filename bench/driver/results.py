"""results.py - the result file: written whole or not at all, and refused when it is not one.

    {"format": "nebmalloc-bench", "version": 1, "complete": true, "length", "runs", "seed", "cold", "subject", "commit",
     "machine": {...}, "allocators": [...], "absent": {name: why}, "workloads": [...],
     "samples":  [{"workload", "allocator", "round", "wall_s", "user_s", "system_s", "peak_rss_kib", ...}],
     "failures": [{"workload", "allocator", "why"}],
     "memory":   [{"workload", "allocator", "rss": [[s, KiB]...], "settled": [[s, KiB]...]}],
     "latency":  [{"workload", "allocator", "latency": {"malloc": {...}, "free": {...}}}],
     "harness":  [{"workload", "operations", "work_s"}]}
"""

import json
import os

from .errors import BenchError

FORMAT = "nebmalloc-bench"
VERSION = 1


def write_text(path, text):
    """To a file beside it, then renamed: a reader sees the old one or the new one."""
    half = f"{path}.{os.getpid()}.half"
    try:
        with open(half, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(half, path)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror}") from error


def dump(result):
    """One sample a line: readable, and small changes stay small in a diff."""
    parts = []
    for key, value in result.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines = ",\n".join("  " + json.dumps(item) for item in value)
            parts.append(f"{json.dumps(key)}: [\n{lines}\n ]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def save(path, result):
    write_text(path, dump(result))


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise BenchError(f"{path} is not JSON") from error
    if not isinstance(result, dict) or result.get("format") != FORMAT or result.get("version") != VERSION:
        raise BenchError(f"{path} is not a result of this benchmark (format {FORMAT}, version {VERSION})")
    return result


class View:
    """A result, by workload and allocator."""

    def __init__(self, result):
        self.result = result
        self.subject = result["subject"]
        self.allocators = [allocator["name"] for allocator in result["allocators"]]
        self.workloads = {workload["name"]: workload for workload in result["workloads"]}
        self.failures = {(f["workload"], f["allocator"]): f["why"] for f in result["failures"]}
        self.by_pair = {}
        for sample in result["samples"]:
            self.by_pair.setdefault((sample["workload"], sample["allocator"]), []).append(sample)

    def values(self, workload, allocator, metric):
        return [sample[metric] for sample in self.by_pair.get((workload, allocator), [])]

    def rounds(self, workload, allocator, metric):
        """Round -> value: runs of one round were made one after the other, and may be compared as pairs."""
        return {sample["round"]: sample[metric] for sample in self.by_pair.get((workload, allocator), [])}

    def names(self, *groups):
        return [name for name, workload in self.workloads.items() if workload["group"] in groups]

    def peers(self):
        return [name for name in self.allocators if name != self.subject and "#" not in name]

    def why_not(self, workload, allocator):
        return self.failures.get((workload, allocator), "not measured: interrupted")
