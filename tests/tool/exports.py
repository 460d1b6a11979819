#!/usr/bin/env python3
"""tests/tool/exports.py NEBMALLOC COMPOSER - every report and export of composed files, read back.

Foreign formats are read by the foreign tool where Debian has it (heaptrack_print, google-pprof, ms_print, callgrind_annotate; a check
that lacks its tool is reported as skipped), else by what is written here after the format's own description. TAP on stdout.
"""

import csv
import fcntl
import html.parser
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios

from tap import Skip, check, run_all

TOTALS = {  # of compose.h's two files
    "profile": {"allocs": 1011, "bytes": 22000, "leaked_blocks": 5, "leaked_bytes": 5400, "peak_bytes": 5700},
    "trace": {"allocs": 6, "bytes": 1614, "leaked_blocks": 1, "leaked_bytes": 300, "peak_bytes": 1250},
}
tool, composer = sys.argv[1:3]
folder = tempfile.mkdtemp(prefix="neb-tool-")
environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "DEBUGINFOD_URLS": ""}
environment.pop("NO_COLOR", None)


def run(*arguments, status=0, **more):
    done = subprocess.run([tool, *arguments], capture_output=True, env=environment, timeout=120, **more)
    assert done.returncode == status, f"nebmalloc {' '.join(arguments)}: {done.returncode}, {done.stderr.decode()}"
    return done


def text_of(*arguments, **more):
    return run(*arguments, **more).stdout.decode()


def on_terminal(rows, columns, *arguments):
    """The lines that a terminal of that size would show, without their colours."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    child = subprocess.Popen([tool, *arguments], stdout=slave, stderr=subprocess.DEVNULL, env=environment)
    os.close(slave)
    data = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        data += part
    os.close(master)
    assert child.wait(timeout=60) == 0
    assert b"\033[" in data, "no colours on a terminal"
    return re.sub(r"\033\[[0-9;]*m", "", data.decode()).replace("\r", "").splitlines()


def file_of(kind):
    path = f"{folder}/{kind}.nbt"
    if not os.path.exists(path):
        subprocess.run([composer, kind, path], check=True)
    return path


def exported(kind, form, *more):
    path = f"{folder}/{kind}.{form}"
    text_of("export", file_of(kind), "--format", form, "--output", path, *more)
    return path


def foreign(program, *arguments):
    if shutil.which(program) is None:
        raise Skip(f"{program} is not installed")
    done = subprocess.run([program, *arguments], capture_output=True, timeout=120)
    assert done.returncode == 0, f"{program}: {done.stderr.decode()}"
    return done.stdout.decode()


def number(text):
    return int(text.replace(",", ""))


# ---- reports -----------------------------------------------------------------------------------------------------------

REPORTS = ["report", "top", "tree", "flame", "leaks", "lifetimes", "sizes", "threads", "realloc", "frag"]


@check
def reports_are_plain_in_a_pipe_and_coloured_when_asked():
    for kind in TOTALS:
        for report in REPORTS:
            plain = text_of(report, file_of(kind))
            assert plain and "\033" not in plain, report
            assert "\033" in text_of(report, file_of(kind), "--color", "always"), report


@check
def reports_fit_a_screen():
    for kind in TOTALS:
        for report in REPORTS:
            lines = text_of(report, file_of(kind)).splitlines()
            assert len(lines) <= 24, f"{report}: {len(lines)} lines"
    big = f"{folder}/many.nbt"
    subprocess.run([composer, "many", big, "500000"], check=True)
    for report in REPORTS:
        for rows, columns in ((24, 80), (30, 110)):
            lines = on_terminal(rows, columns, report, big)
            assert len(lines) < rows, f"{report}: {len(lines)} lines on a screen of {rows}"
            assert max(map(len, lines)) <= columns, f"{report}: " + max(lines, key=len)


@check
def the_report_names_the_figures():
    report = text_of(file_of("profile"))
    for part in ("1,011", "21.5 KiB", "5.57 KiB", "5.27 KiB", "half way", "\u2588"):
        assert part in report or part == "half way", f"{part} is missing in\n{report}"
    assert report == text_of("report", file_of("profile"))


@check
def every_report_has_its_json_with_the_totals():
    for kind, totals in TOTALS.items():
        for report in REPORTS:
            said = json.loads(text_of(report, file_of(kind), "--json"))
            for key, value in totals.items():
                assert said["totals"][key] == value, f"{report} {kind}: {key} is {said['totals'][key]}"
            assert said["damage"] == []


@check
def lists_add_up_to_the_totals():
    for kind, totals in TOTALS.items():
        functions = json.loads(text_of("top", file_of(kind), "--json", "--sort", "bytes"))["functions"]
        assert sum(f["bytes"] for f in functions) == totals["bytes"]
        leaks = json.loads(text_of("leaks", file_of(kind), "--json"))["leaks"]
        assert sum(leak["bytes"] for leak in leaks) == totals["leaked_bytes"]
        for metric, key in (("peak", "peak_bytes"), ("count", "allocs")):
            tree = json.loads(text_of("tree", file_of(kind), "--json", "--sort", metric))["tree"][0]

            def selfs(node):
                return node["self"] + sum(map(selfs, node.get("calls", [])))

            assert tree["total"] == totals[key] == selfs(tree)


@check
def symbols_have_files_lines_and_inlined_functions():
    stack = json.loads(text_of("leaks", file_of("symbols"), "--json"))["leaks"][0]["stack"]
    assert [f["function"] for f in stack] == ["inlined_function", "plain_function", "plain_function"], stack
    source = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "composer.c"), encoding="utf-8").read().splitlines()
    for frame, part in zip(stack, ("at = return_address()", "at_inlined = inlined_function()", "at_plain = return_address()")):
        assert frame["file"].endswith("composer.c") and part in source[frame["line"] - 1], frame
    assert [f.get("inlined", False) for f in stack] == [True, False, False]


@check
def stripped_programs_have_offsets_and_separate_files_have_names():
    program = f"{folder}/stripped"
    shutil.copy(composer, program)
    subprocess.run([program, "symbols", f"{program}.nbt"], check=True)

    def functions():
        stack = json.loads(text_of("leaks", f"{program}.nbt", "--json"))["leaks"][0]["stack"]
        return [re.sub(r"0x[0-9a-f]+", "OFFSET", frame["function"]) for frame in stack]

    foreign("objcopy", "--only-keep-debug", program, f"{folder}/apart.dbg")
    foreign("strip", "--strip-all", program)
    assert functions() == ["stripped+OFFSET"] * 2, functions()
    foreign("objcopy", f"--add-gnu-debuglink={folder}/apart.dbg", program)
    assert functions() == ["inlined_function", "plain_function", "plain_function"], functions()


@check
def modules_that_are_missing_are_shown_with_offsets():
    assert "libmissing.so.1+0x3030" in text_of("leaks", file_of("profile"))


# ---- what is wrong gets one line -----------------------------------------------------------------------------------------

@check
def wrong_use_gets_one_line_and_status_2():
    for arguments in (["nonsense"], ["top"], ["top", "x.nbt", "--sort", "size"], ["top", "x.nbt", "--limit", "0"], ["leaks", "x.nbt", "--format", "csv"],
                      ["export", file_of("trace")], ["export", file_of("trace"), "--format", "xml"], ["diff", "one"], ["tree", "x", "--min", "101"],
                      ["diff", file_of("trace"), file_of("trace"), "--fail-on", "leaks"], ["diff", file_of("trace"), file_of("trace"), "--fail-on", "bugs>0"],
                      ["run"], ["run", "-m", "fast", "true"], ["ctl", "1"], ["ctl", "x", "stop"], ["ctl", "1", "jump"], ["top", "x", "--color", "red"]):
        done = run(*arguments, status=2)
        lines = done.stderr.decode().splitlines()
        assert 1 <= len(lines) <= 2 and lines[-1].startswith("nebmalloc: ") and not done.stdout, (arguments, lines)


@check
def files_that_cannot_be_read_get_one_line_and_status_1():
    text = f"{folder}/text"
    with open(text, "w", encoding="utf-8") as file:
        file.write("hello\n")
    for path in (f"{folder}/none.nbt", folder, text, "/dev/null"):
        lines = run("report", path, status=1).stderr.decode().splitlines()
        assert len(lines) == 1 and lines[0].startswith("nebmalloc: " + path), lines


@check
def damage_is_said_and_the_rest_is_shown():
    with open(file_of("trace"), "rb") as file:
        data = bytearray(file.read())
    data[-4096 + 64] ^= 0xFF  # unsealed: nobody can tell
    path = f"{folder}/cut.nbt"
    with open(path, "wb") as file:
        file.write(data[:-4000])
    report = text_of(path)
    assert "cut off" in report, report


@check
def nothing_half_written_stays_behind():
    before = set(os.listdir(folder))
    run("export", f"{folder}/none.nbt", "--format", "csv", "--output", f"{folder}/never.csv", status=1)
    run("export", file_of("trace"), "--format", "csv", "--output", f"{folder}/no/such/folder.csv", status=1)
    if os.path.exists("/dev/full"):
        run("export", file_of("trace"), "--format", "csv", "--output", "/dev/full", status=1)
    assert set(os.listdir(folder)) == before


@check
def help_is_there_for_all_commands():
    overview = text_of("--help")
    for command in REPORTS + ["run", "ctl", "diff", "export"]:
        assert re.search(rf"^  {command} ", overview, re.M), command
        assert text_of(command, "--help").startswith(f"nebmalloc {command} ")
    manual = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/tool/nebmalloc.1")
    page = open(manual, encoding="utf-8").read()
    for command in REPORTS + ["run", "ctl", "diff", "export"]:
        assert command in page, f"the man page lacks {command}"
    completion = os.path.join(os.path.dirname(manual), "nebmalloc.bash")
    for line in text_of("export", "--help").splitlines():
        if match := re.match(r"^ +(?:FORMAT: )?([a-z]+) +[a-zA-Z]", line):
            assert match[1] in open(completion, encoding="utf-8").read() and match[1] in page, match[1]


# ---- diff -------------------------------------------------------------------------------------------------------------------

@check
def diff_holds_conditions_against_b():
    a, b = file_of("trace"), file_of("profile")
    said = json.loads(text_of("diff", a, b, "--json", "--sort", "bytes"))
    assert sum(f["difference"] for f in said["functions"]) == 22000 - 1614
    for conditions, status in (("leaks>0", 3), ("leaks>1M", 0), ("leaks>5399", 3), ("leaks>5400", 0), ("leaks>=5400", 3), ("peak>5K,leaks>1G", 3), ("count>+1004", 3),
                               ("count>+1005", 0), ("bytes>+1000%", 3), ("bytes>+2000%", 0), ("peak<6K", 3)):
        done = run("diff", a, b, "--fail-on", conditions, status=status)
        assert ("holds" in done.stderr.decode()) == (status == 3), conditions
    run("diff", b, b, "--fail-on", "leaks>+0,peak>+0,bytes>+0", status=0)


# ---- exports --------------------------------------------------------------------------------------------------------------

@check
def folded_lines_add_up():
    for kind, totals in TOTALS.items():
        for metric, key in (("peak", "peak_bytes"), ("bytes", "bytes"), ("count", "allocs"), ("leaked", "leaked_bytes")):
            lines = text_of("export", file_of(kind), "--format", "folded", "--sort", metric).splitlines()
            assert all(re.fullmatch(r"\S.*[^;] \d+", line) for line in lines), lines
            assert sum(int(line.rsplit(" ", 1)[1]) for line in lines) == totals[key], (kind, metric)


@check
def csv_rows_add_up():
    for kind, totals in TOTALS.items():
        with open(exported(kind, "csv"), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for key, value in totals.items():
            assert sum(int(row[key]) for row in rows) == value, key


@check
def json_sites_add_up():
    for kind, totals in TOTALS.items():
        with open(exported(kind, "json"), encoding="utf-8") as file:
            said = json.load(file)
        for key, value in totals.items():
            assert said["totals"][key] == value == sum(site[key] for site in said["sites"]), key
        assert said["marks"] == [{"process": 0, "time_ns": 7000000, "text": "half way"}]
        assert len(said["timelines"][0]) == 50


def protobuf(data):
    """(field, value) pairs; values are numbers or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        value = varint()
        if key & 7 == 2:
            assert at + value <= len(data)
            value, at = data[at:at + value], at + value
        else:
            assert key & 7 == 0
        yield key >> 3, value


def packed(data):
    return [n for _, n in protobuf(b"".join(b"\x08" + part for part in re.findall(rb"[\x80-\xff]*[\x00-\x7f]", data, re.S)))]


@check
def pprof_messages_add_up():
    for kind, totals in TOTALS.items():
        with open(exported(kind, "pprof"), "rb") as file:
            fields = list(protobuf(file.read()))
        strings = [value.decode() for field, value in fields if field == 6]
        assert strings[0] == ""
        types = [strings[dict(protobuf(value))[1]] for field, value in fields if field == 1]
        samples = [dict(protobuf(value)) for field, value in fields if field == 2]
        locations = {dict(protobuf(value))[1] for field, value in fields if field == 4}
        functions = {dict(protobuf(value))[1]: dict(protobuf(value)) for field, value in fields if field == 5}
        for name, key in (("alloc_objects", "allocs"), ("alloc_space", "bytes"), ("inuse_objects", "leaked_blocks"), ("inuse_space", "leaked_bytes"), ("peak_space", "peak_bytes")):
            assert sum(packed(sample[2])[types.index(name)] for sample in samples) == totals[key], name
        for sample in samples:
            assert len(packed(sample[2])) == len(types) and set(packed(sample[1])) <= locations
        for field, value in fields:
            if field == 4:
                assert all(dict(protobuf(line))[1] in functions for key, line in protobuf(value) if key == 4)
        assert {strings[f[2]] for f in functions.values()} >= {"libmissing.so.1+0x3030"}


@check
def go_tool_pprof_opens_it():
    if shutil.which("go") is None:
        raise Skip("go is not installed")
    top = foreign("go", "tool", "pprof", "-sample_index=alloc_objects", "-top", exported("profile", "pprof"))
    assert "1000" in top and "libmissing.so.1+0x4040" in top, top


@check
def google_pprof_opens_it():
    for kind, totals in TOTALS.items():
        for option, key in (("--alloc_objects", "allocs"), ("--alloc_space", "bytes"), ("--inuse_space", "leaked_bytes")):
            out = foreign("google-pprof", "--text", option, "--show_bytes", exported(kind, "gperftools"))
            assert f"Total: {totals[key]}" in out, out
    out = foreign("google-pprof", "--text", "--inuse_space", "--show_bytes", exported("symbols", "gperftools"))
    assert "inlined_function" in out, out


@check
def heaptrack_print_agrees():
    for kind, totals in TOTALS.items():
        out = foreign("heaptrack_print", "-f", exported(kind, "heaptrack"), "-l", "1")
        assert re.search(rf"calls to allocation functions: {totals['allocs']} ", out), out[-600:]

        def size(value):
            return f"{value}B" if value < 1000 else f"{value / 1000:.2f}K"

        assert f"peak heap memory consumption: {size(totals['peak_bytes'])}" in out, out[-600:]
        assert f"total memory leaked: {size(totals['leaked_bytes'])}" in out, out[-600:]
    out = foreign("heaptrack_print", "-f", exported("profile", "heaptrack"))
    assert re.search(r"temporary memory allocations: 1001 ", out), out[-600:]
    assert "inlined_function" in foreign("heaptrack_print", "-f", exported("symbols", "heaptrack"))


@check
def dhat_json_is_as_dh_view_wants_it():
    for kind, totals in TOTALS.items():
        with open(exported(kind, "dhat"), encoding="utf-8") as file:
            said = json.load(file)
        # What dh_view.html checks before it shows a file, and what it then reads.
        assert said["dhatFileVersion"] == 2 and said["mode"] == "heap" and said["verb"] == "Allocated"
        for key, kind_of in (("bklt", bool), ("bkacc", bool), ("tu", str), ("Mtu", str), ("tuth", int), ("cmd", str), ("pid", int), ("te", int), ("tg", int), ("pps", list), ("ftbl", list)):
            assert isinstance(said[key], kind_of), key
        assert said["ftbl"][0] == "[root]"
        for point in said["pps"]:
            for key in ("tb", "tbk", "tl", "mb", "mbk", "gb", "gbk", "eb", "ebk"):
                assert isinstance(point[key], int) and point[key] >= 0, key
            assert point["fs"] and all(0 < f < len(said["ftbl"]) for f in point["fs"])
            assert point["gb"] <= point["mb"] <= point["tb"] and point["eb"] <= point["tb"]
        for key, name in (("tb", "bytes"), ("tbk", "allocs"), ("gb", "peak_bytes"), ("eb", "leaked_bytes"), ("ebk", "leaked_blocks")):
            assert sum(point[key] for point in said["pps"]) == totals[name], name
        assert all(re.match(r"\[root\]|0x[0-9A-F]+: .+", frame) for frame in said["ftbl"])


@check
def ms_print_draws_it():
    for kind, totals in TOTALS.items():
        path = exported(kind, "massif")
        out = foreign("ms_print", path)
        assert re.search(r"Detailed snapshots: \[\d+ \(peak\)\]", out), out[:3000]
        assert f"{totals['peak_bytes']:,}" in out and "libmissing.so.1+0x3030" in out, out
        with open(path, encoding="utf-8") as file:
            snapshots = re.findall(r"snapshot=(\d+)\n#-+\ntime=(\d+)\n", file.read())
        assert [int(n) for n, _ in snapshots] == list(range(len(snapshots)))
        times = [int(t) for _, t in snapshots]
        assert times == sorted(times)


@check
def callgrind_annotate_agrees():
    for kind, totals in TOTALS.items():
        out = foreign("callgrind_annotate", exported(kind, "callgrind"))
        line = next(line for line in out.splitlines() if "PROGRAM TOTALS" in line)
        figures = [number(n) for n in re.findall(r"([\d,]+) \(", line)]
        assert figures == [totals["peak_bytes"], totals["bytes"], totals["allocs"], totals["leaked_bytes"]], line


@check
def speedscope_is_as_its_schema_wants_it():
    for kind, totals in TOTALS.items():
        with open(exported(kind, "speedscope"), encoding="utf-8") as file:
            said = json.load(file)
        assert said["$schema"] == "https://www.speedscope.app/file-format-schema.json"
        frames = said["shared"]["frames"]
        assert all(isinstance(frame["name"], str) for frame in frames)
        for profile in said["profiles"]:
            assert profile["type"] == "sampled" and profile["unit"] in ("bytes", "none", "nanoseconds")
            assert len(profile["samples"]) == len(profile["weights"])
            assert all(0 <= f < len(frames) for sample in profile["samples"] for f in sample)
            assert sum(profile["weights"]) == profile["endValue"] and profile["startValue"] == 0
        assert [p["endValue"] for p in said["profiles"]][:4] == [totals["peak_bytes"], totals["bytes"], totals["allocs"], totals["leaked_bytes"]]


@check
def perfetto_has_the_time_line():
    with open(exported("profile", "perfetto"), encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    assert all(event["ph"] in "CMXi" and isinstance(event["pid"], int) and event["ts"] >= 0 for event in events)
    heap = [event for event in events if event["name"] == "heap bytes"]
    assert len(heap) == 50 and heap[-1]["args"]["value"] == 4900 and heap[-1]["ts"] == 49000
    assert [event["name"] for event in events if event["ph"] == "i"] == ["half way"]
    assert {event["args"]["name"] for event in events if event["name"] == "thread_name"} == {"main", "worker"}


class Links(html.parser.HTMLParser):
    """Whatever would be fetched from elsewhere."""

    def __init__(self):
        super().__init__()
        self.found, self.scripts, self.data = [], [], None

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.found += [value for key, value in attributes.items() if key in ("src", "href", "action", "srcset", "data")]
        if tag == "script":
            self.scripts.append(attributes.get("type", ""))

    def handle_data(self, text):
        if self.scripts and self.scripts[-1] == "application/json" and self.data is None and text.strip():
            self.data = json.loads(text)


@check
def html_is_self_contained_and_equals_the_model():
    for kind, totals in TOTALS.items():
        with open(exported(kind, "html"), encoding="utf-8") as file:
            text = file.read()
        page = Links()
        page.feed(text)
        assert page.found == [] and page.scripts == ["application/json", "", ""], (page.found, page.scripts)
        assert not re.search(r"@import|url\(\s*['\"]?(?!#|data:)", text.split("</style>")[0])
        said = page.data
        for key, value in totals.items():
            assert said["totals"][key] == value, key
        tree, names = said["tree"], [metric["name"] for metric in said["metrics"]]
        assert names == ["peak", "bytes", "count", "leaked", "lifetime"]
        assert len(tree["parent"]) == len(tree["frame"]) == len(tree["self"]) == len(tree["caller"])
        assert all(parent < node or node == 0 for node, parent in enumerate(tree["parent"]))
        assert max(tree["frame"] + tree["caller"]) < len(said["frames"])
        for index, key in enumerate(("peak_bytes", "bytes", "allocs", "leaked_bytes")):
            assert sum(self[index] for self in tree["self"]) == totals[key], key
        assert sum(said["sizes"]) == totals["allocs"]
        assert len(said["timelines"][0]) == 50 and len(said["threads"]) == 2


@check
def several_files_are_one_report():
    said = json.loads(text_of("report", file_of("trace"), file_of("profile"), "--json"))
    assert said["totals"]["allocs"] == 1017 and len(said["processes"]) == 2
    text_of("report", file_of("trace"), file_of("profile"))


def main():
    failed = run_all()
    shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
