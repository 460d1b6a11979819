"""progress.py - one line that says what is being run and how long the rest will take.

On a terminal the line is rewritten; elsewhere one is written every 20 seconds.
"""

import sys
import time

QUIET_S = 20.0


def duration(seconds):
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


class Progress:
    """Expects what a workload took before; until it has run once, the mean of all others."""

    def __init__(self, kinds, stream=sys.stderr):
        self.left = {}          # kind of run -> how many are left
        for kind in kinds:
            self.left[kind] = self.left.get(kind, 0) + 1
        self.total = sum(self.left.values())
        self.done = 0
        self.spent = {}         # kind of run -> (seconds, runs)
        self.stream = stream
        self.terminal = stream.isatty()
        self.last = 0.0

    def expected(self, kind):
        seconds, runs = self.spent.get(kind, (0.0, 0))
        if runs:
            return seconds / runs
        seconds = sum(spent[0] for spent in self.spent.values())
        return seconds / self.done if self.done else 0.0

    def remaining(self):
        return sum(count * self.expected(kind) for kind, count in self.left.items())

    def announce(self, what):
        now = time.monotonic()
        if not self.terminal and now - self.last < QUIET_S:
            return
        self.last = now
        rest = f", {duration(self.remaining())} left" if self.done else ""
        line = f"[{self.done + 1}/{self.total}{rest}] {what}"
        self.stream.write(f"\r\033[K{line}" if self.terminal else line + "\n")
        self.stream.flush()

    def finished(self, kind, seconds):
        before, runs = self.spent.get(kind, (0.0, 0))
        self.spent[kind] = (before + seconds, runs + 1)
        self.left[kind] -= 1
        self.done += 1

    def end(self):
        if self.terminal:
            self.stream.write("\r\033[K")
            self.stream.flush()
