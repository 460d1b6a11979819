"""compare.py - one test with the library and without it: run, remembered, repeated where both differ.

    reference   a run without the library; its best one is what the others have to reach
    good        a run that passes, and has at least as many checks that pass, as the best reference; all others are bad

A test with a bad run is repeated both ways, since the machine and the test may be unsteady. DIFFERS: every run with the library is bad, and
none without it. `unsteady`: everything between. A bug that strikes now and then is in the second kind: so the line says how often each way,
and whether it is ever seen without the library. What the library itself says is told of every run, whether the test passes or not.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

WITHOUT = "without"
NO_END = 124
#: Where the library's own words begin, in a test's output.
SAID = re.compile(rb"^nebmalloc: .*$", re.M)
#: A shell starts what runs in the background with SIGINT ignored, nohup with SIGHUP; tests send both. The limit of open files is a login's.
AS_AT_LOGIN = ["prlimit", "--nofile=1024:", "env", "--default-signal=INT,HUP,QUIT"]
#: Ports for servers under test: each run borrows 900 from here on. Redis' cluster bus takes the same ones plus 10,000; from 32,768 on the
#: kernel gives them away.
PORTS = [str(port) for port in range(11000, 21000, 1000)]


@contextlib.contextmanager
def borrowed_port():
    """The first of 900 that no other test has, of this run or of another."""
    while True:
        for port in PORTS:
            with socket.socket(socket.AF_UNIX) as lease:
                try:
                    lease.bind(f"\0nebmalloc-suites-{port}")
                except OSError:
                    continue
                yield port
                return
        time.sleep(1)


@dataclasses.dataclass(frozen=True)
class Test:
    name: str
    command: list  # {port}: the first of 900 ports
    environment: dict = dataclasses.field(default_factory=dict)
    folder: pathlib.Path = None  # where it runs; None: a fresh folder
    copy: pathlib.Path = None  # what is copied to that fresh folder
    preload: list = dataclasses.field(default_factory=list)  # what else is preloaded


@dataclasses.dataclass(frozen=True)
class Run:
    status: int
    checks: int  # how many said that they passed
    said: tuple = ()  # the library's own words
    seconds: float = 0

    def reaches(self, other):
        return (self.status == 0 or other.status != 0) and self.checks >= other.checks


class Record:
    """All runs of a suite, kept in a file as they come: what is there need not be run again."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.runs = {}
        text = path.read_text() if path.exists() else ""
        if not text.endswith("\n"):  # the machine stopped in the midst of a line
            text = text[: text.rfind("\n") + 1]
            path.write_text(text)
        for line in text.splitlines():
            entry = json.loads(line)
            key = (entry.pop("test"), entry.pop("library"))
            self.runs.setdefault(key, []).append(Run(**{**entry, "said": tuple(entry["said"])}))

    def of(self, test, library):
        return self.runs.setdefault((test, library.identity), [])

    def add(self, test, library, run):
        with self.lock, open(self.path, "a") as file:
            self.of(test, library).append(run)
            file.write(json.dumps({"test": test, "library": library.identity, **dataclasses.asdict(run)}) + "\n")


class Library:
    """What is preloaded, or nothing. A rebuilt library is another one: its runs do not count for this one's."""

    def __init__(self, level, path=None):
        self.level = level
        self.path = path
        self.identity = f"{level} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}" if path else level

    def environment(self, report, others):
        preload = [str(path) for path in [*([self.path] if self.path else []), *others]]
        return {**({"LD_PRELOAD": ":".join(preload)} if preload else {}), **({"NEBMALLOC": f"report={report}"} if self.path else {})}


def end_group(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Runner:
    def __init__(self, into, count_checks, seconds):
        self.logs = into
        self.count_checks = count_checks
        self.seconds = seconds
        self.record = Record(into / "runs.jsonl")
        self.running = set()
        self.is_stopping = False

    def attempt(self, test, library):
        """Runs it once; the output stays beside the record."""
        label = f"{test.name.replace('/', '_')}.{library.level}.{len(self.record.of(test.name, library)) + 1}"
        log, report = self.logs / f"{label}.log", self.logs / f"{label}.report"
        report.write_bytes(b"")
        report.chmod(0o666)  # tests become other users
        with borrowed_port() as port, tempfile.TemporaryDirectory(prefix="suite-", ignore_cleanup_errors=True) as work:
            if test.copy:
                shutil.copytree(test.copy, work, symlinks=True, dirs_exist_ok=True)
            environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": work, "LC_ALL": "C.UTF-8", **test.environment, **library.environment(report, test.preload)}
            command = [*AS_AT_LOGIN, *(str(word).replace("{port}", port) for word in test.command)]
            begin = time.monotonic()
            with open(log, "wb") as output:
                status = self.wait(subprocess.Popen(command, cwd=test.folder or work, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                                    stderr=subprocess.STDOUT, start_new_session=True))
            seconds = round(time.monotonic() - begin, 1)
        output = log.read_bytes()
        reported = report.read_bytes()
        if not reported:
            report.unlink()
        said = SAID.findall(output + b"\n" + reported) if library.path else []
        run = Run(status, self.count_checks(output.decode(errors="replace")), tuple(sorted({line.decode(errors="replace") for line in said})), seconds)
        if not self.is_stopping:
            self.record.add(test.name, library, run)
        return run

    def wait(self, process):
        """Its exit status, NO_END when it had none in time; whatever it started ends with it."""
        self.running.add(process.pid)
        try:
            return process.wait(self.seconds)
        except subprocess.TimeoutExpired:
            return NO_END
        finally:
            end_group(process.pid)
            self.running.discard(process.pid)
            process.wait()

    def stop(self):
        """Ends what runs now: tests are in sessions of their own, which a signal to this process does not reach."""
        self.is_stopping = True
        for group in list(self.running):
            end_group(group)

    def at_least(self, count, test, library):
        while len(self.record.of(test.name, library)) < count:
            self.attempt(test, library)
        return self.record.of(test.name, library)

    def compare(self, test, without, libraries, runs, repeat):
        """A verdict for each library, of so many runs and, where they differ, as many more as repeat says."""
        if self.at_least(runs, test, without)[0].status != 0:
            self.at_least(runs + 1, test, without)  # one that fails only now and then must not hide what the library does
        verdicts = []
        for library in libraries:
            self.at_least(runs, test, library)
            if judge(test, library, self.record).kind != "same":
                self.at_least(runs + repeat, test, without)
                self.at_least(runs + repeat, test, library)
            verdicts.append(judge(test, library, self.record))
        return verdicts


@dataclasses.dataclass(frozen=True)
class Verdict:
    test: str
    level: str
    kind: str  # same, unsteady, DIFFERS
    passes: bool  # without the library
    why: str
    said: tuple


def judge(test, library, record):
    references, runs = record.of(test.name, Library(WITHOUT)), record.of(test.name, library)
    best = max(references, key=lambda run: (run.status == 0, run.checks))
    bad = [run for run in runs if not run.reaches(best)]
    bad_references = [run for run in references if not run.reaches(best)]
    kind = "same" if not bad else "DIFFERS" if len(bad) == len(runs) and not bad_references else "unsteady"
    how = ", ".join(sorted({f"exit status {run.status} and {run.checks} checks" for run in bad}))
    why = f"bad in {len(bad)} of {len(runs)} runs with the library, in {len(bad_references)} of {len(references)} without it"
    why += f": {how} for {best.status} and {best.checks}" if bad else ""
    said = tuple(sorted({line for run in runs for line in run.said}))
    return Verdict(test.name, library.level, kind, best.status == 0, why, said)
