"""errors.py - what ends a run: one clear line, exit status 2, and nothing overwritten."""


class BenchError(Exception):
    """Wrong input or a broken environment; the text is the line the user sees."""
