"""allocators.py - what is compared: glibc first, then Debian's peers, the user's own, and nebmalloc.

Law  an allocator takes part only after the probe has seen, in a process of its own, that malloc is really served by
     the library: the dynamic linker merely warns about a library it cannot preload.
"""

import dataclasses
import hashlib
import json
import os
import re
import subprocess

from . import packages
from .errors import BenchError

OURS = "nebmalloc"
GLIBC = "glibc"

#: Name, soname, package. A soname of None is looked up by `scudo_library`.
PEERS = (("jemalloc", "libjemalloc.so.2", "libjemalloc2"),
         ("mimalloc", "libmimalloc.so.2", "libmimalloc2.0"),
         ("tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
         ("tbb", "libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
         ("scudo", None, "libclang-rt-dev"))


@dataclasses.dataclass(frozen=True)
class Allocator:
    name: str
    preload: str           # what goes into LD_PRELOAD
    version: str
    missing: tuple = ()    # functions of the malloc family it leaves to glibc
    environment: tuple = ()  # pairs: variables with its options

    def record(self):
        """As it is written into the results: no path of this machine."""
        options = {"environment": [f"{name}={value}" for name, value in self.environment]} if self.environment else {}
        return {"name": self.name, "library": os.path.basename(self.preload), "version": self.version,
                "missing": list(self.missing), **options}


def soname_path(soname):
    """Where the dynamic linker would find it, or None."""
    try:
        listing = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return None
    found = re.search(rf"^\s*{re.escape(soname)} .*=> (\S+)$", listing, re.MULTILINE)
    return found.group(1) if found else None


def version_key(path):
    return [int(number) for number in re.findall(r"\d+", path)]


def scudo_library():
    """The newest that any installed clang runtime package holds."""
    name = f"libclang_rt.scudo_standalone-{os.uname().machine}.so"
    found = [path for path in packages.files("libclang-rt-*dev") if os.path.basename(path) == name]
    return max(found, key=version_key, default=None)


def probe(program, preload, variables=()):
    """What the probe prints, or an error in words."""
    environment = dict(os.environ, LD_PRELOAD=preload, **dict(variables))
    try:
        answer = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=30)
    except subprocess.TimeoutExpired:
        return None, "a small program hangs under it"
    except OSError as error:
        raise BenchError(f"{program} cannot be run ({error.strerror}): the build is not complete") from error
    if answer.returncode < 0:
        return None, f"a small program dies of signal {-answer.returncode} under it"
    try:
        return json.loads(answer.stdout), answer.stderr.strip().splitlines()[0] if answer.stderr else ""
    except ValueError:
        return None, (answer.stderr.strip().splitlines() or ["it prints nothing"])[0]


def digest(path):
    with open(path, "rb") as file:
        return "sha256 " + hashlib.sha256(file.read()).hexdigest()[:12]


def load(program, name, path, variables=()):
    """The allocator in this library, once the probe has seen it work."""
    if not os.path.isfile(path):
        raise BenchError(f"no library for {name}: {path}")
    path = os.path.abspath(path)
    facts, complaint = probe(program, path, variables)
    if facts is None:
        raise BenchError(f"{name} cannot be used: {complaint}")
    if not os.path.exists(facts["malloc"]) or not os.path.samefile(facts["malloc"], path):
        raise BenchError(f"{name} does not serve malloc when preloaded: {complaint or path}")
    return Allocator(name, path, packages.owner(path) or digest(path), tuple(facts["missing"]), tuple(variables))


def glibc(program):
    """glibc is preloaded as well: a program that is linked with another allocator would otherwise keep that one."""
    facts, complaint = probe(program, "libc.so.6")
    if facts is None:
        raise BenchError(f"glibc cannot be used: {complaint}")
    return Allocator(GLIBC, "libc.so.6", os.confstr("CS_GNU_LIBC_VERSION") or "unknown", tuple(facts["missing"]))


def debian_peers(program):
    """Those that are installed, and for each of the others why it is absent."""
    present, absent = [], {}
    for name, soname, package in PEERS:
        path = soname_path(soname) if soname else scudo_library()
        if path is None:
            absent[name] = f"not installed (Debian: {package})"
            continue
        try:
            present.append(load(program, name, path))
        except BenchError as error:
            absent[name] = str(error)
    return present, absent


def parse_peer(text):
    """NAME=LIB, or NAME=VARIABLE=VALUE ... LIB with the options of the library: name, library, pairs."""
    name, equals, rest = text.partition("=")
    path, variables = rest, []
    while not os.path.exists(path) and (found := re.match(r"([A-Za-z_][A-Za-z0-9_]*)=(\S*) +(\S.*)", path)):
        variables.append(found.group(1, 2))
        path = found.group(3)
    if not equals or not re.fullmatch(r"[A-Za-z0-9._+#-]+", name) or "LD_PRELOAD" in dict(variables):
        raise BenchError(f"--peer wants NAME=LIB or NAME='VARIABLE=VALUE LIB', not '{text}'")
    return name, path, variables


def collect(program, library, peers, without, copies):
    """All allocators of this run, and why others are absent. `copies` takes part twice: the A/A check."""
    present, absent = debian_peers(program)
    chosen = [glibc(program), *present]
    for text in peers:
        chosen.append(load(program, *parse_peer(text)))
    if OURS not in without:
        chosen.append(load(program, OURS, library))
    names = [allocator.name for allocator in chosen]
    if len(set(names)) != len(names):
        raise BenchError("two allocators have the same name")
    unknown = set(without) - set(names) - set(absent) - {OURS}
    if unknown:
        raise BenchError(f"--without: no allocator is called {', '.join(sorted(unknown))}")
    chosen = [allocator for allocator in chosen if allocator.name not in without]
    twins = [dataclasses.replace(allocator, name=allocator.name + "#2") for allocator in chosen
             if allocator.name in copies]
    return chosen + twins, {name: why for name, why in absent.items() if name not in without}
