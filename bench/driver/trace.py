"""trace.py - records the allocations of a command (bench/tools/record.c has the format's laws, trace.h the format).

    record: command + recorder --> FILE.half (sparse) --> cut to its length --> FILE, and FILE.PID for its children

A command that is ended by an interrupt leaves a good trace: that is how one records a server.
"""

import glob
import os
import shutil
import signal
import struct
import subprocess

from .errors import BenchError

HEADER_BYTES, RECORD_BYTES = 64, 24
MAGIC = b"NEBTRC1\n"
ENDED = (0, -signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)


def count(path):
    """Events in a trace, or None when it is not one."""
    with open(path, "rb") as file:
        head = file.read(16)
    return struct.unpack("8xQ", head)[0] if len(head) == 16 and head.startswith(MAGIC) else None


def run(words, library, path):
    environment = dict(os.environ, LD_PRELOAD=library, NEB_RECORD=path)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is meant for the command
    try:
        return subprocess.Popen(words, env=environment, preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL)).wait()
    finally:
        signal.signal(signal.SIGINT, before)


def finish(half, path):
    """Cuts each trace to its length and gives it its name; returns (name, events)."""
    made = []
    for part in sorted(glob.glob(glob.escape(half) + "*")):
        events = count(part)
        if not events:
            os.unlink(part)
            continue
        os.truncate(part, HEADER_BYTES + events * RECORD_BYTES)
        final = path + part[len(half):]
        os.rename(part, final)
        made.append((final, events))
    return made


def discard(half):
    for part in glob.glob(glob.escape(half) + "*"):
        os.unlink(part)


def record(words, library, path):
    if os.path.exists(path):
        raise BenchError(f"{path} exists; it is not overwritten")
    if shutil.which(words[0]) is None:
        raise BenchError(f"no such command: {words[0]}")
    half = os.path.abspath(path) + ".half"
    discard(half)
    status = run(words, library, half)
    if status not in ENDED:
        discard(half)
        raise BenchError(f"the command failed with status {status}; nothing was recorded")
    made = finish(half, path)
    if not made:
        raise BenchError("the command made no allocation that could be recorded")
    return made
