#!/usr/bin/env python3
"""tests/tool/browser.py NEBMALLOC COMPOSER CHROMIUM [SCREENSHOTS] - the HTML report in a browser.

The page gets a script that uses it as a person would (opens every tab, switches what the flame graph shows, searches, zooms, sorts,
selects a span of time) and writes down what it then saw; headless Chromium hands out the page that results. With SCREENSHOTS, a
folder, each tab's picture goes there, to be looked at. TAP on stdout.
"""

import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

tool, composer, chromium = sys.argv[1:4]
folder = tempfile.mkdtemp(prefix="neb-browser-")
TABS = ["flame", "time", "functions", "histograms", "threads", "classes"]

EARLY = "<script>window.complaints = []; addEventListener('error', e => window.complaints.push(e.message));</script>"
USER = """<script>
(function () {
  const seen = {}, q = s => document.querySelector(s), all = s => Array.from(document.querySelectorAll(s));
  const fire = (e, type) => e.dispatchEvent(new Event(type, { bubbles: true }));
  const click = e => e.dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: 5, clientY: 5 }));
  try {
    seen.title = document.title;
    seen.boxes = all("#flame g.frame").length;
    seen.options = all("#metric option").map(o => o.textContent);
    seen.roots = [];
    for (const o of all("#metric option")) {
      q("#metric").value = o.value;
      fire(q("#metric"), "change");
      seen.roots.push(q("#flame g.frame text").textContent);
    }
    q("#metric").value = 0;
    fire(q("#metric"), "change");
    q("#search").value = "0x5050";
    fire(q("#search"), "input");
    seen.hits = all("#flame g.frame.hit").length;
    seen.found = q("#found").textContent;
    q("#search").value = "(";
    fire(q("#search"), "input");
    seen.wrong = q("#found").textContent;
    q("#search").value = "";
    fire(q("#search"), "input");
    const frames = all("#flame g.frame"), deepest = frames[frames.length - 1];
    click(deepest.querySelector("rect"));
    seen.zoomed = all("#flame g.frame.faded").length;
    click(q("#reset"));
    seen.unzoomed = all("#flame g.frame.faded").length;
    q("#inverted").checked = true;
    fire(q("#inverted"), "change");
    seen.inverted = all("#flame g.frame").length;
    seen.tabs = {};
    for (const tab of TABS) {
      click(q("#button-" + tab));
      const panel = q("#tab-" + tab);
      seen.tabs[tab] = { shown: !panel.hidden, others: all("main section").filter(s => !s.hidden).length, svgs: panel.querySelectorAll("svg").length,
                         rows: panel.querySelectorAll("tbody tr").length, text: panel.textContent.slice(0, 4000) };
    }
    click(q("#button-functions"));
    const header = all("#functions th")[2];
    click(header);
    seen.most = all("#functions tbody tr")[0].children[2].textContent;
    click(all("#functions th")[2]);
    seen.least = all("#functions tbody tr")[0].children[2].textContent;
  } catch (error) {
    window.complaints.push(String(error.stack || error));
  }
  seen.complaints = window.complaints;
  const out = document.createElement("pre");
  out.id = "seen";
  out.textContent = JSON.stringify(seen);
  document.body.appendChild(out);
})();
</script>""".replace("TABS", json.dumps(TABS))


def browse(*arguments):
    return subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1300,900", "--virtual-time-budget=3000",
                           f"--user-data-dir={folder}/profile", *arguments], capture_output=True, text=True, timeout=180)


def see(kind):
    subprocess.run([composer, kind, f"{folder}/{kind}.nbt"], check=True)
    subprocess.run([tool, "export", f"{folder}/{kind}.nbt", "--format", "html", "-o", f"{folder}/{kind}.html"], check=True, stdout=subprocess.DEVNULL)
    with open(f"{folder}/{kind}.html", encoding="utf-8") as file:
        page = file.read()
    with open(f"{folder}/used.html", "w", encoding="utf-8") as file:
        file.write(page.replace("<head>", "<head>" + EARLY, 1).replace("</body>", USER + "</body>"))
    dom = browse("--dump-dom", f"file://{folder}/used.html").stdout
    match = re.search(r'<pre id="seen">(.*?)</pre>', dom, re.S)
    assert match, "the page did not come to its end: " + dom[:2000]
    return json.loads(html.unescape(match[1]))


def main():
    checks = 0

    def check(holds, what, about=""):
        nonlocal checks
        checks += 1
        print(f"{'ok' if holds else 'not ok'} {checks} - {what}")
        if not holds:
            print(f"# {about}")
        return 0 if holds else 1

    seen = see("profile")
    failed = check(seen["complaints"] == [], "no script complains", seen["complaints"])
    failed += check(seen["title"].startswith("nebmalloc: sample"), "the page has the program's name", seen.get("title"))
    failed += check(seen["boxes"] == 5, "the flame graph has the root and the four calls of the peak", seen.get("boxes"))
    failed += check(len(seen["options"]) == 5, "it switches between five measures", seen.get("options"))
    failed += check(seen["roots"] == ["all: 5.57 KiB", "all: 21.5 KiB", "all: 1,011", "all: 5.27 KiB", "all: 7 us"], "each shows the total", seen.get("roots"))
    failed += check(seen["hits"] == 1 and "4.88 KiB" in seen["found"], "a search marks and counts", seen)
    failed += check("regular expression" in seen["wrong"].lower(), "a wrong expression is said", seen.get("wrong"))
    failed += check(seen["zoomed"] > 0 and seen["unzoomed"] == 0, "a click zooms in, a button out", seen)
    failed += check(seen["inverted"] > seen["boxes"], "callees come first when asked", seen.get("inverted"))
    for name, tab in seen["tabs"].items():
        failed += check(tab["shown"] and tab["others"] == 1, f"the tab {name} opens alone", tab)
    failed += check(seen["tabs"]["time"]["svgs"] == 2 and "half way" in seen["tabs"]["time"]["text"], "time has its two pictures and the marks", seen["tabs"]["time"])
    failed += check(seen["tabs"]["histograms"]["svgs"] == 2, "sizes and lifetimes are drawn", seen["tabs"]["histograms"])
    failed += check(seen["tabs"]["threads"]["rows"] == 2 and seen["tabs"]["functions"]["rows"] == 3 and seen["tabs"]["classes"]["rows"] == 2, "tables have their rows", seen["tabs"])
    failed += check((seen["most"], seen["least"]) == ("1,000", "1"), "a table is sorted by a click, both ways", seen)
    failed += check(see("trace")["complaints"] == [], "a trace opens as well")
    if len(sys.argv) > 4:
        os.makedirs(sys.argv[4], exist_ok=True)
        for tab in TABS:
            picture = os.path.abspath(f"{sys.argv[4]}/{tab}.png")
            browse(f"--screenshot={picture}", f"file://{folder}/profile.html#tab={tab}")
            failed += check(os.path.exists(picture), f"{picture} is drawn")
    print(f"1..{checks}")
    shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
