"""machine.py - what one must know about the machine to understand a result. Nothing that names it."""

import os
import platform
import subprocess


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def processor():
    for line in (read("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "cpu model"):
            return value.strip()
    return platform.machine()


def processor_flags():
    for line in (read("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return set(value.split())
    return set()


def memory_mib():
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20


def first_line(*words):
    try:
        return subprocess.run(words, capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, IndexError):
        return None


def chosen(text):
    """The word in brackets, as the kernel marks the setting in force."""
    if text is None:
        return None
    return text[text.find("[") + 1:text.find("]")] if "[" in text else text


def distribution():
    for line in (read("/etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"')
    return None


def describe():
    flags = processor_flags()
    huge = "/sys/kernel/mm/transparent_hugepage/"
    return {
        "processor": processor(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_mib": memory_mib(),
        "page_bytes": os.sysconf("SC_PAGE_SIZE"),
        "virtual_machine": "hypervisor" in flags,
        "constant_cycle_counter": "constant_tsc" in flags or platform.machine() == "aarch64",
        "kernel": platform.release(),
        "distribution": distribution(),
        "glibc": os.confstr("CS_GNU_LIBC_VERSION"),
        "compiler": first_line("gcc", "--version"),
        "huge_pages": chosen(read(huge + "enabled")),
        "huge_pages_defrag": chosen(read(huge + "defrag")),
        "overcommit": read("/proc/sys/vm/overcommit_memory"),
        "address_randomisation": read("/proc/sys/kernel/randomize_va_space"),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_at_start": os.getloadavg()[0],
    }


def commit(root):
    """The commit of the repository, marked when files were changed since."""
    name = first_line("git", "-C", root, "rev-parse", "--short=12", "HEAD")
    if name is None:
        return None
    words = ["git", "-C", root, "diff", "--quiet", "HEAD", "--", "src", "interpose", "bench"]
    changed = subprocess.run(words).returncode
    return name + (" with changes" if changed else "")
