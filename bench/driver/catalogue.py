"""catalogue.py - every workload: what it runs, how often, and in how many threads.

    group     single     one thread, patterns written in bench/micro
              threads    several threads, likewise
              programs   real programs of Debian, bench/macro
              optin      programs that use the opt-in API; in no mean, since other allocators only lend it their malloc
              scaling    some of `threads` at 1, 2, 4 ... threads; a picture of its own, in no mean

Counts are those of the full length: about 0.3 s for a pattern and 1 s for a program under glibc on a small machine. The
normal length takes half of them: more rounds tell more than longer runs.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    group: str
    what: str
    command: tuple             # words; {bin} {macro} {inputs} {count} {seed} are filled in
    count: int
    threads: int = 1
    pattern: str = ""          # the micro program, for its -latency twin; "" for a real program
    needs: tuple = ()          # functions of the malloc family that the allocator itself must have
    programs: tuple = ()       # what must be installed
    environment: tuple = ()
    preload_variable: str = "LD_PRELOAD"
    scale_min: float = 0.0
    settle_long: bool = False  # also 10 s after the end
    rss_picture: bool = False
    latency: bool = False
    verified: bool = True      # its output is the same in every run

    def words(self, places, count, seed):
        values = dict(places, count=count, seed=seed)
        return [word.format(**values) for word in self.command]

    def scaled(self, scale):
        return max(1, round(self.count * max(scale, self.scale_min)))

    def record(self):
        return {"name": self.name, "group": self.group, "what": self.what, "threads": self.threads,
                "rss_picture": self.rss_picture}


class Fixed(Workload):
    """The user's command, word for word."""

    def words(self, places, count, seed):
        return list(self.command)


def micro(name, group, what, count, variant="", threads=1, **more):
    """A pattern of bench/micro; the part of the name before the first '-' or '@' is the program."""
    pattern = name.replace("@", "-").split("-")[0]
    words = [f"{{bin}}/bench-{pattern}", "--threads", str(threads), "--count", "{count}", "--seed", "{seed}"]
    if variant:
        words += ["--variant", variant]
    return Workload(name, group, what, tuple(words), count, threads, pattern, **more)


def single():
    one = lambda name, what, count, variant="", **more: micro(name, "single", what, count, variant, **more)
    return [
        one("pair", "malloc(64) and its free", 30_000_000, latency=True),
        one("fresh", "malloc(64), never freed", 4_000_000),
        one("bulk-lifo", "10,000 x 64 B, freed newest first", 2500, "lifo"),
        one("bulk-fifo", "10,000 x 64 B, freed oldest first", 2500, "fifo"),
        one("bulk-random", "10,000 x 64 B, freed in random order", 1200, "random", latency=True),
        one("sizes-small", "random replacement, 8 B to 1 KiB", 8_000_000, "small", latency=True),
        one("sizes-medium", "random replacement, 1 to 32 KiB", 1_500_000, "medium"),
        one("sizes-large", "random replacement, 32 KiB to 1 MiB", 60_000, "large", latency=True),
        one("sizes-huge", "random replacement, 1 to 32 MiB", 300, "huge", rss_picture=True),
        one("calloc-small", "zeroed blocks, 16 B to 1 KiB", 3_000_000, "small"),
        one("calloc-large", "zeroed blocks, 64 KiB to 1 MiB", 5000, "large"),
        one("realloc-vector", "arrays that grow by half", 10_000, "vector"),
        one("realloc-append", "strings that grow a little at a time", 40_000, "append"),
        one("realloc-large", "one buffer that grows to 64 MiB", 10, "large"),
        one("aligned", "alignments from 32 to 4096", 1_500_000, needs=("aligned_alloc", "posix_memalign")),
        one("peaks", "four peaks of 96 MiB", 4, scale_min=1.0, settle_long=True, rss_picture=True),
        one("fragment", "sizes change from phase to phase", 8, scale_min=1.0, settle_long=True, rss_picture=True),
        one("shbench", "many sizes, mixed lifetimes (SmartHeap)", 3000),
        one("alloctest", "Pareto-like slots and sizes (Ivanov)", 1_500_000),
        one("trees", "binary trees (GCBench)", 1200),
        one("strings", "table of counted strings (Zorn and Grunwald)", 800_000, settle_long=True),
        one("tables", "random replacement in a hash table (Wilson)", 400_000, latency=True),
        one("bignum", "short-lived large numbers (cfrac)", 8000),
        one("deriv", "symbolic derivatives (Gabriel)", 2500),
        one("requests", "a server's requests (Berger, Zorn, McKinley)", 50_000, rss_picture=True),
    ]


def optin():
    """The headers find the library when it is preloaded, and fall back to malloc under every other allocator."""
    one = lambda name, what, count: micro(f"regions-{name}", "optin", what, count, name)
    return [
        one("scope", "a scope for each request, one for each step", 12_000),
        one("bump", "trees of 4,000 nodes, dropped whole", 3000),
        one("pool", "random replacement of 64-byte objects", 5_000_000),
        one("stack", "frames of a recursion", 1000),
    ]


def threaded(cores):
    """At as many threads as cores, and at four times as many."""
    many = 4 * cores
    some = lambda name, what, count, variant="", threads=cores, **more: micro(
        name, "threads", what, count, variant, threads, **more)
    return [
        some("prodcons", "one thread allocates, another frees", 6_000_000, latency=True, settle_long=True),
        some("churn", "short-lived threads", 3000),
        some("false_active", "active false sharing (Hoard)", 300_000),
        some("false_passive", "passive false sharing (Hoard)", 300_000),
        some("scalability", "independent threads (Lever and Boreham)", 600_000),
        some("larson", "a server whose threads inherit objects (Larson)", 150, latency=True, rss_picture=True),
        some("threadtest", "bulk allocation, divided (Hoard)", 250),
        some("xmalloc", "batches freed by other threads (Lever and Boreham)", 40_000),
        some("mstress", "objects that migrate (Leijen)", 100, settle_long=True, rss_picture=True),
        some("epoch", "batches freed late (Kim, Brown, Singh)", 2_000_000),
        some("blowup", "freed by the next thread in turn (Hoard)", 60, settle_long=True),
        some("alloctest-threads", "Pareto-like slots and sizes (Ivanov)", 800_000),
        some("bulk-threads", "10,000 x 64 B, freed in random order", 600, "random"),
        some("larson-crowded", "larson, four threads a core", 30, threads=many),
        some("mstress-crowded", "mstress, four threads a core", 25, threads=many),
        some("prodcons-crowded", "prodcons, four threads a core", 1_200_000, threads=many),
        some("xmalloc-crowded", "xmalloc, four threads a core", 8000, threads=many),
    ]


def scaling(cores):
    counts = {"scalability": 600_000, "larson": 60, "mstress": 50, "prodcons": 3_000_000, "churn": 1000}
    steps = [1]
    while steps[-1] < 4 * cores:
        steps.append(steps[-1] * 2)
    share = lambda count, threads: max(1, count // max(1, threads // cores))
    return [micro(f"{name}@{threads}", "scaling", f"{name} with {threads} threads", share(count, threads),
                  threads=threads) for name, count in counts.items() for threads in steps]


def program(name, what, count, *command, needs=(), environment=(), **more):
    return Workload(name, "programs", what, command, count, programs=needs, environment=environment, **more)


def programs():
    """The system's own python3, since another one may be linked with an allocator or without shared objects."""
    python = (("PYTHONMALLOC", "malloc"), ("PYTHONHASHSEED", "0"))
    system_python = "/usr/bin/python3"
    return [
        program("python-objects", "records, dictionaries, sorting", 20_000, system_python, "{macro}/objects.py",
                "{count}", needs=(system_python,), environment=python, rss_picture=True),
        program("python-text", "JSON, regular expressions, parsing", 5000, system_python, "{macro}/text.py",
                "{count}", needs=(system_python,), environment=python),
        program("sqlite", "tables in memory: joins, indices, text", 1, "sqlite3", ":memory:",
                ".read {inputs}/query.sql", needs=("sqlite3",)),
        program("redis", "redis-server under redis-benchmark and a data set", 16_000, system_python,
                "{macro}/redis.py", "{count}", needs=("redis-server", "redis-benchmark"),
                preload_variable="BENCH_PRELOAD", rss_picture=True),
        program("gcc", "gcc -O2 of a generated file", 1, "gcc", "-O2", "-S", "-o", "-", "{inputs}/unit.c",
                needs=("gcc",), rss_picture=True),
        program("g++", "g++ of templates", 1, "g++", "-std=c++17", "-S", "-o", "-", "{inputs}/unit.cc",
                needs=("g++",)),
        program("clang", "clang++ -O1 of templates", 1, "clang++", "-std=c++17", "-O1", "-S", "-o", "-",
                "{inputs}/unit.cc", needs=("clang++",)),
        program("perl", "hashes, strings, sorting", 100_000, "perl", "{macro}/words.pl", "{count}", needs=("perl",),
                environment=(("PERL_HASH_SEED", "0"),)),
        program("git", "repack and history", 1, "{macro}/repack.sh", "{inputs}/repository", needs=("git",)),
        program("node", "JSON, buffers, zlib", 6000, "node", "{macro}/documents.js", "{count}", needs=("node",),
                rss_picture=True),
        program("ghostscript", "pages of text, curves and shadings", 1, "gs", "-q", "-dSAFER", "-dBATCH", "-dNOPAUSE",
                "-sDEVICE=ppmraw", "-r72", "-o", "-", "{inputs}/pages.ps", needs=("gs",)),
        program("z3", "proofs about schedules, bit vectors and arrays", 1, "z3", "-smt2", "{inputs}/problems.smt2",
                needs=("z3",)),
    ]


def everything(cores):
    return single() + optin() + threaded(cores) + programs() + scaling(cores)
