#!/usr/bin/env python3
"""tests/tool/run.py NEBMALLOC PROGRAM - programs under `nebmalloc run`, and what the reports say of them.

PROGRAM (subject.cpp) allocates in ways whose sums are known. TAP on stdout.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from tap import check, run_all

tool, program = map(os.path.abspath, sys.argv[1:3])
top = tempfile.mkdtemp(prefix="neb-run-")
environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBUGINFOD_URLS": ""}
for name in ("NEBMALLOC", "LD_PRELOAD"):
    environment.pop(name, None)


def folder():
    return tempfile.mkdtemp(dir=top)


def run(where, *arguments, status=0, **more):
    done = subprocess.run([tool, "run", *arguments], cwd=where, capture_output=True, text=True, timeout=120, env=environment, **more)
    assert done.returncode == status, f"run {arguments}: {done.returncode}, {done.stderr}"
    return done


def said(*arguments):
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, f"nebmalloc {arguments}: {done.stderr}"
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def files(where):
    return sorted(name for name in os.listdir(where))


# subject.cpp: leak() leaves 10 blocks of 1000 bytes; churn() makes 5000 of 64 and frees each; grow() reallocs up to 40000; each of two
# threads makes 300 of 128, which main frees.
@check
def profile_and_trace_count_every_block():
    for mode in ("profile", "trace"):
        where = folder()
        run(where, "-m", mode, "-o", "out.nbt", "--", program)
        assert files(where) == ["out.nbt"]
        report = said("top", f"{where}/out.nbt", "--json")
        functions = {f["function"]: f for f in report["functions"]}
        everything = {f["function"]: f for f in said("lifetimes", f"{where}/out.nbt", "--json")["functions"]}
        leak, churn, worker = everything["leak"], everything["churn"], everything["worker"]
        assert (leak["allocs"], leak["bytes"], leak["leaked_blocks"], leak["leaked_bytes"]) == (10, 10000, 10, 10000), leak
        assert (churn["allocs"], churn["bytes"], churn["frees"], churn["freed_before_next"]) == (5000, 320000, 5000, 5000), churn
        assert (worker["allocs"], worker["bytes"], worker["frees"], worker["frees_by_other_threads"]) == (600, 76800, 600, 600), worker
        assert everything["grow"]["reallocs"] == 40 and everything["grow"]["largest"] == 40000, everything["grow"]
        assert "leak" in functions and functions["leak"]["file"].endswith("subject.cpp")
        assert report["processes"][0]["state"] == "closed" and report["damage"] == []
        assert sum(f["allocs"] for f in everything.values()) == report["totals"]["allocs"]
        assert report["totals"]["untracked_frees"] == 0


@check
def both_modes_say_the_same():
    figures = []
    for mode in ("profile", "trace"):
        where = folder()
        run(where, "-m", mode, "-o", "out.nbt", "--", program, "once")
        totals = said("report", f"{where}/out.nbt", "--json")["totals"]
        figures.append({key: totals[key] for key in ("allocs", "bytes", "frees", "leaked_bytes", "peak_bytes", "reallocs")})
    assert figures[0] == figures[1], figures


@check
def sampling_estimates():
    where = folder()
    run(where, "-m", "sample", "-O", "sample_rate=4096", "-o", "out.nbt", "--", program)
    totals = said("report", f"{where}/out.nbt", "--json")["totals"]
    assert totals["estimated"] and 200000 < totals["bytes"] < 3000000, totals


@check
def the_exit_status_is_the_programs():
    where = folder()
    run(where, "--", "sh", "-c", "exit 7", status=7)
    run(where, "--", "sh", "-c", "kill -TERM $$", status=128 + signal.SIGTERM)
    run(where, "--", "./nothing-there", status=127)
    run(where, "--", "/etc/passwd", status=126)
    run(where, "-m", "off", "--", "sh", "-c", "exit 3", status=3)
    run(where, "-m", "check", "--", "sh", "-c", "exit 4", status=4)


@check
def output_and_input_are_the_programs():
    where = folder()
    done = run(where, "--no-summary", "--", "sh", "-c", "cat; echo to stderr >&2", input="line\n")
    assert done.stdout == "line\n" and done.stderr == "to stderr\n", done


@check
def the_summary_names_the_file():
    where = folder()
    done = run(where, "--", program)
    name = re.search(r"look at it: nebmalloc (\S+)\n", done.stderr)[1]
    assert files(where) == [os.path.basename(name)] and re.search(r"not freed: \S+ \w+ in [\d,]+ blocks", done.stderr), done.stderr
    assert "leak" in said(name)


@check
def processes_that_a_program_starts_are_recorded_only_when_asked():
    command = ["sh", "-c", f"{program} once; {program} once; true"]
    where = folder()
    run(where, "--", *command)
    assert len(files(where)) == 1, files(where)
    where = folder()
    run(where, "--children", "--", *command)
    assert len(files(where)) == 3, files(where)
    paths = [f"{where}/{name}" for name in files(where)]
    whole = said("report", *paths, "--json")["totals"]["allocs"]
    assert whole == sum(said("report", path, "--json")["totals"]["allocs"] for path in paths)


@check
def of_programs_that_execute_each_other_the_last_is_kept():
    where = folder()
    run(where, "-o", "out.nbt", "--", "sh", "-c", f"exec env {program} once")
    assert files(where) == ["out.nbt"], files(where)
    assert os.path.basename(program) in said("report", f"{where}/out.nbt", "--json")["processes"][0]["command"]


@check
def signals_are_passed_on():
    where = folder()
    child = subprocess.Popen([tool, "run", "-o", "out.nbt", "--no-summary", "--", "sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done"],
                             cwd=where, env=environment, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGUSR1)
    assert child.wait(timeout=60) == 9
    child.stdout.close()


@check
def a_killed_process_leaves_a_file_that_says_so():
    where = folder()
    child = subprocess.Popen([tool, "run", "-m", "trace", "-o", "out.nbt", "--no-summary", "--", program, "wait"], cwd=where, env=environment, stdout=subprocess.PIPE,
                             text=True)
    pid = int(child.stdout.readline())
    os.kill(pid, signal.SIGKILL)
    assert child.wait(timeout=60) == 128 + signal.SIGKILL
    child.stdout.close()
    report = said("lifetimes", f"{where}/out.nbt", "--json")
    assert report["processes"][0]["state"] == "killed"
    assert next(f for f in report["functions"] if f["function"] == "churn")["allocs"] == 5000


@check
def a_running_process_obeys():
    where = folder()
    child = subprocess.Popen([tool, "run", "-o", "out.nbt", "--no-summary", "--", program, "wait"], cwd=where, env=environment, stdout=subprocess.PIPE, text=True)
    pid = child.stdout.readline().strip()
    try:
        dump = said("ctl", pid, "dump").strip()
        assert os.path.isfile(dump) and dump.startswith(where), dump
        leak = next(f for f in said("lifetimes", dump, "--json")["functions"] if f["function"] == "leak")
        assert leak["leaked_blocks"] == 10, leak
        said("ctl", pid, "mark", "here it is")
        assert "leak" in said("ctl", pid, "leaks")
        assert said("ctl", pid, "stats")
        said("ctl", pid, "stop")
        again = subprocess.run([tool, "ctl", pid, "stop"], capture_output=True, text=True, env=environment, timeout=60)
        assert again.returncode == 1 and again.stderr.startswith("nebmalloc: ctl: "), again
        marks = json.loads(subprocess.run([tool, "export", f"{where}/out.nbt", "-f", "json"], capture_output=True, text=True, check=True, timeout=60).stdout)["marks"]
        assert [mark["text"] for mark in marks] == ["here it is"], marks
    finally:
        os.kill(int(pid), signal.SIGKILL)
        child.wait(timeout=60)
        child.stdout.close()


@check
def a_process_that_records_nothing_can_begin():
    where = folder()
    preload = {**environment, "LD_PRELOAD": os.path.join(os.path.dirname(tool), "libnebmalloc-profile.so")}
    child = subprocess.Popen([program, "busy"], cwd=where, env=preload, stdout=subprocess.PIPE, text=True)
    pid = child.stdout.readline().strip()
    try:
        path = said("ctl", pid, "start", f"out={where}/late.nbt").strip()
        assert path == f"{where}/late.nbt", path
        time.sleep(0.3)
        said("ctl", pid, "stop")
        report = said("report", path, "--json")
        assert report["totals"]["allocs"] > 0 and report["processes"][0]["state"] == "closed"
    finally:
        child.kill()
        child.wait(timeout=60)
        child.stdout.close()


@check
def others_are_left_alone():
    done = subprocess.run([tool, "ctl", str(os.getpid()), "stop"], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 1 and "does not run under nebmalloc" in done.stderr, done
    done = subprocess.run([tool, "ctl", "4194303", "stop"], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 1 and "no such process" in done.stderr, done


@check
def heaptrack_counts_the_same():
    if shutil.which("heaptrack") is None:
        return
    where = folder()
    run(where, "-o", "out.nbt", "--", program, "once")
    functions = {f["function"]: f for f in said("lifetimes", f"{where}/out.nbt", "--json")["functions"]}
    subprocess.run(["heaptrack", "-o", f"{where}/foreign", program, "once"], capture_output=True, check=True, timeout=120, env=environment)
    foreign = next(f"{where}/{name}" for name in files(where) if name.startswith("foreign"))
    out = subprocess.run(["heaptrack_print", "-f", foreign, "-F", f"{where}/stacks", "--flamegraph-cost-type", "allocations"], capture_output=True, text=True,
                         check=True, timeout=120).stdout
    assert "peak heap" in out
    theirs = {"leak": 0, "churn": 0, "grow": 0}
    with open(f"{where}/stacks", encoding="utf-8") as stacks:
        for line in stacks:
            stack, count = line.rsplit(" ", 1)
            for name in theirs:
                if re.search(rf"\b{name}\b", stack):
                    theirs[name] += int(count)
    assert theirs == {name: functions[name]["allocs"] for name in theirs}, theirs


@check
def annotate_adds_functions_and_passes_on_what_is_no_frame():
    def annotated(text, *arguments):
        return subprocess.run([tool, "annotate", *arguments], input=text, capture_output=True, text=True, timeout=120, env=environment)

    symbols = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    leak = int(re.search(r"^([0-9a-f]+) [Tt] _ZL?4leakv$", symbols, re.M).group(1), 16)
    place = f"{program}+{leak + 4:#x}"
    text = annotated(f"before\n    #7 _Zwrong ({place})\nafter").stdout
    assert re.fullmatch(rf"before\n    #0 leak\S* \S*subject\.cpp:\d+ \({re.escape(place)}\)\nafter", text), text
    frame = json.loads(annotated(json.dumps({"module": program, "offset": leak + 4}, separators=(",", ":"))).stdout)
    assert frame["function"].startswith("leak") and frame["file"].endswith("subject.cpp") and frame["line"] > 0, frame
    for other in ("", "\n", "    #", "    #1", "    #1 (", "    #1 (x+0x)", "    #1 (x+0x12", "    #1 x+0x1)\n", "   #1 (/bin/sh+0x1000)", '{"module":"',
                  '{"module":"a\\', '{"module":"a"}', '{"module":"a","offset":1', '{"offset":1}', "text {} #1 (/bin/sh+0x1)\n"):
        assert annotated(other).stdout == other, other
    gone = annotated("    #0 name (/nowhere/at all+0x10)\n").stdout
    assert gone == "    #0 (/nowhere/at all+0x10)\n", gone
    assert annotated("", "file").returncode == 2


def main():
    failed = run_all()
    shutil.rmtree(top)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
