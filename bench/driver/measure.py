"""measure.py - one run of one command under one allocator, through the launcher.

    run() --> {"wall_s", "user_s", "system_s", "peak_rss_kib", "minor_faults", ..., "checksum", "output"}
          --> Unfit: why this allocator has no number here
"""

import hashlib
import json
import os
import signal
import subprocess
import tempfile

from .errors import BenchError

TIMEOUT_S = 300
KEPT = ("wall_s", "user_s", "system_s", "peak_rss_kib", "minor_faults", "major_faults", "switches_voluntary",
        "switches_forced", "rss")


class Unfit(Exception):
    """The command did not do its work under this allocator; the text says why, for the table."""


class Launcher:
    """Runs commands through the small C program which measures them."""

    def __init__(self, program, directory):
        self.program = program
        self.directory = directory  # for reports and output; a temporary one

    def path(self, name):
        return os.path.join(self.directory, name)

    def words(self, allocator, command, options):
        words = [self.program, "--report", self.path("report"), "--preload", allocator.preload]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        return words + ["--", *command]

    def start(self, words, environment, stdin):
        """Runs the launcher to its end; kills it, and with it the command, when we are interrupted."""
        with open(self.path("out"), "wb") as out, open(self.path("err"), "wb") as err:
            process = subprocess.Popen(words, stdin=stdin, stdout=out, stderr=err, env=environment)
            try:
                return process.wait()
            except BaseException:
                process.send_signal(signal.SIGTERM)
                process.wait()
                raise

    def run(self, allocator, command, environment=(), stdin=subprocess.DEVNULL, **options):
        options.setdefault("timeout", TIMEOUT_S)
        words = self.words(allocator, command, options)
        status = self.start(words, {**os.environ, **dict(environment), **dict(allocator.environment)}, stdin)
        if status != 0:
            raise BenchError(self.first_error() or f"the launcher failed with status {status}")
        with open(self.path("report"), encoding="utf-8") as file:
            report = json.load(file)
        self.judge(report, options["timeout"])
        return dict({key: report[key] for key in KEPT}, output=self.output())

    def judge(self, report, timeout):
        if report["timed_out"]:
            raise Unfit(f"no end within {timeout} s")
        if report["signal"]:
            raise Unfit(self.because(f"crash: {signal_name(report['signal'])}"))
        if report["exit"] != 0:
            raise Unfit(self.because(f"exit status {report['exit']}"))
        complaint = self.first_error()
        if "cannot be preloaded" in complaint:
            raise Unfit("the library could not be preloaded")

    def because(self, what):
        complaint = self.first_error()
        return f"{what} ({complaint})" if complaint else what

    def first_error(self):
        with open(self.path("err"), encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
        return lines[0][:160] if lines else ""

    def output(self):
        with open(self.path("out"), "rb") as file:
            return file.read()


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def thin(points):
    """Resident sizes over time without the points in which nothing changes (by half a percent of the peak)."""
    step = max((kib for _, kib in points), default=0) / 200
    kept = points[:1]
    for before, point in zip(points, points[1:]):
        if abs(point[1] - kept[-1][1]) > step:
            if before is not kept[-1]:
                kept.append(before)
            kept.append(point)
    return kept if not points or kept[-1] is points[-1] else kept + points[-1:]


def micro_result(output):
    """The line of JSON that a micro workload prints."""
    try:
        return json.loads(output)
    except ValueError as error:
        raise Unfit("it printed no result") from error


def program_result(output):
    return {"checksum": hashlib.sha256(output).hexdigest()[:16]}


def read_result(workload, sample):
    """Replaces the output by what it says: the checksum, and for patterns the rest of the line."""
    output = sample.pop("output")
    if workload.verified and not output:
        raise Unfit("it printed nothing")
    sample["cpu_s"] = round(sample["user_s"] + sample["system_s"], 6)
    sample.update(micro_result(output) if workload.pattern else program_result(output))
    sample["rss"] = thin(sample["rss"])
    if not sample["rss"]:
        del sample["rss"]
    return sample


def scratch():
    return tempfile.TemporaryDirectory(prefix="nebmalloc-bench-")
