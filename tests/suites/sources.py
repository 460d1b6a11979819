"""sources.py - Debian's source packages, downloaded and unpacked.

Lists of their own are kept in the work folder: those of the system usually have no sources, and are left alone.
"""

import os
import pathlib
import re
import subprocess
import tarfile


class Missing(Exception):
    """What cannot be had, in words."""


def apt(program, work, *words):
    options = ["-qq", "-o", f"Dir::Etc::sourcelist={work}/sources.sources", "-o", "Dir::Etc::sourceparts=/dev/null", "-o", f"Dir::State::lists={work}/lists",
               "-o", "APT::Sandbox::User=root"]
    done = subprocess.run([program, *options, *words], cwd=work, env={**os.environ, "LC_ALL": "C"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout.strip()


def update(work):
    (work / "lists/partial").mkdir(parents=True, exist_ok=True)
    sources = "".join(path.read_text() for path in pathlib.Path("/etc/apt/sources.list.d").glob("debian.sources"))
    (work / "sources.sources").write_text(re.sub(r"^Types:.*$", "Types: deb-src", sources, flags=re.M))
    return apt("apt-get", work, "update")


def download(work, package):
    """Its archives, of the newest version that there is: the lists may name one that is gone."""
    status, output = update(work)
    _, known = apt("apt-cache", work, "showsrc", package)
    for version in reversed(re.findall(r"^Version: (\S+)$", known, re.M)):
        status, output = apt("apt-get", work, "--download-only", "source", f"{package}={version}")
        if status == 0:
            return
    raise Missing(f"the source package of {package} cannot be had: " + (output.splitlines() or ["not in Debian's lists"])[-1])


def source_tree(work, package):
    """The folder with the sources as their authors published them, without Debian's patches."""
    found = [path for path in work.glob(f"{package}-[0-9]*") if path.is_dir()]
    if not found:
        download(work, package)
        archive = sorted(work.glob(f"{package}_*.orig.tar.*"))[-1]
        with tarfile.open(archive) as content:
            content.extractall(work)
        found = [path for path in work.glob(f"{package}-[0-9]*") if path.is_dir()]
    return found[-1]
