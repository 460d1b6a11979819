/* report.js - the report's charts, by d3. The data are the model as export_html.c wrote it. */
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const metrics = data.metrics;
  const byId = id => document.getElementById(id);

  // ---- numbers ----
  function bytes(n) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let i = 0;
    while (Math.abs(n) >= 1023.5 && i < units.length - 1) { n /= 1024; i++; }
    return (i === 0 || Math.abs(n) >= 99.95 ? d3.format(".0f") : d3.format(".3~r"))(n) + " " + units[i];
  }
  function time(ns) {
    if (ns >= 6e11) return d3.format(".1f")(ns / 6e10) + " min";
    const units = ["ns", "us", "ms", "s"];
    let i = 0;
    while (ns >= 999.5 && i < 3) { ns /= 1000; i++; }
    return d3.format(".3~r")(ns) + " " + units[i];
  }
  // Round numbers of KiB, MiB, ..., about `wanted` of them.
  function byteTicks(most, wanted) {
    const unit = Math.pow(1024, Math.max(0, Math.floor(Math.log2(Math.max(1, most)) / 10)));
    return d3.ticks(0, most / unit, wanted).map(n => n * unit);
  }
  const count = d3.format(",.0f");
  const value = (n, unit) => unit === "bytes" ? bytes(n) : unit === "ns" ? time(n) : count(n);
  const percent = (part, whole) => whole === 0 ? "0 %" : d3.format(".1f")(100 * part / whole) + " %";

  const tip = byId("tip");
  function tipShow(event, text) {
    tip.textContent = text;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = (event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 8 : event.clientY + 18) + "px";
  }
  const tipHide = () => { tip.hidden = true; };

  // ---- head ----
  const first = data.processes[0];
  byId("title").textContent = first.command || first.exe || first.file;
  document.title = "nebmalloc: " + byId("title").textContent;
  byId("subtitle").textContent = data.processes.length === 1
    ? `pid ${first.pid}, mode ${first.mode}, ${time(first.end_ns)}, ${first.state}`
    : `${data.processes.length} processes`;
  const totals = data.totals;
  [[bytes(totals.peak_bytes), "at the peak"], [bytes(totals.bytes), "allocated"], [count(totals.allocs), "allocations"],
   [bytes(totals.leaked_bytes), "not freed"], [count(totals.leaked_blocks), "blocks not freed"], [count(totals.call_stacks), "call stacks"]]
    .forEach(([figure, what]) => {
      const box = d3.select("#figures").append("div");
      box.append("b").text((totals.estimated && what !== "call stacks" ? "~" : "") + figure);
      box.append("span").text(what);
    });
  if (data.damage.length > 0) {
    byId("damage").hidden = false;
    byId("damage").textContent = data.damage.join("\n");
  }

  // ---- tabs ----
  const tabs = [["flame", "Flame graph"], ["time", "Time"], ["functions", "Functions"], ["histograms", "Sizes and lifetimes"],
                ["threads", "Threads"], ["classes", "Size classes"]];
  const drawn = {};
  function openTab(name) {
    for (const [other] of tabs) {
      byId("tab-" + other).hidden = other !== name;
      byId("button-" + other).setAttribute("aria-selected", other === name);
    }
    if (!drawn[name]) {
      drawn[name] = true;
      draw[name]();
    }
  }
  for (const [name, title] of tabs)
    d3.select("#tabs").append("button").attr("id", "button-" + name).attr("role", "tab").text(title).on("click", () => openTab(name));

  // ---- flame graph ----
  const flame = { metric: 0, inverted: false, pattern: null, root: null, focus: null };

  function label(frame) {
    return frame.file ? `${frame.function} (${frame.file.replace(/.*\//, "")}:${frame.line})` : frame.module ? `${frame.function} (${frame.module})` : frame.function;
  }
  // Callers below callees: every stack is walked from its innermost frame outwards.
  function invert() {
    const root = { frame: 0, children: [], byFrame: new Map(), self: metrics.map(() => 0) };
    data.tree.parent.forEach((parent, id) => {
      const self = data.tree.self[id];
      if (id === 0 || self.every(n => n === 0)) return;
      let at = root;
      for (let node = id; node !== 0; node = data.tree.parent[node]) {
        const frame = data.tree.frame[node];
        let child = at.byFrame.get(frame);
        if (!child) {
          child = { frame, children: [], byFrame: new Map(), self: metrics.map(() => 0) };
          at.byFrame.set(frame, child);
          at.children.push(child);
        }
        at = child;
      }
      self.forEach((n, i) => { at.self[i] += n; });
    });
    return root;
  }
  function upright() {
    const nodes = data.tree.parent.map((parent, id) => ({ frame: data.tree.frame[id], children: [], self: data.tree.self[id] }));
    data.tree.parent.forEach((parent, id) => { if (id !== 0) nodes[parent].children.push(nodes[id]); });
    return nodes[0];
  }
  function flameLayout() {
    flame.root = d3.hierarchy(flame.inverted ? invert() : upright(), d => d.children)
      .sum(d => d.self[flame.metric]).sort((a, b) => b.value - a.value);
    d3.partition()(flame.root);
    flame.focus = flame.root;
  }
  const warm = d3.scaleSequential(d3.interpolateYlOrRd).domain([-0.35, 1.5]);
  function hash(text) {
    let h = 0;
    for (let i = 0; i < text.length; i++) h = (h * 31 + text.charCodeAt(i)) >>> 0;
    return (h % 1000) / 1000;
  }
  function flameDraw() {
    const line = 19, width = byId("flame").clientWidth || 1000, focus = flame.focus;
    const x = d3.scaleLinear().domain([focus.x0, focus.x1]).range([0, width]);
    const shown = flame.root.descendants().filter(d => d.value > 0 && d.x1 > focus.x0 && d.x0 < focus.x1 && x(d.x1) - x(d.x0) >= 0.6 &&
      (d.depth <= focus.depth || d.x0 >= focus.x0));
    const rows = d3.max(shown, d => d.depth) + 1;
    let svg = d3.select("#flame").selectAll("svg").data([0]);
    svg = svg.enter().append("svg").merge(svg).attr("height", rows * line).attr("viewBox", `0 0 ${width} ${rows * line}`);
    const unit = metrics[flame.metric].unit, whole = flame.root.value;
    const boxes = svg.selectAll("g.frame").data(shown);
    boxes.exit().remove();
    const entered = boxes.enter().append("g");
    entered.append("rect");
    entered.append("text").attr("x", 4).attr("y", 13);
    const all = entered.merge(boxes);
    const left = d => Math.max(0, x(d.x0)), right = d => Math.min(width, x(d.x1));
    let hits = 0, hitValue = 0;
    const matches = d => flame.pattern !== null && d.depth > 0 && flame.pattern.test(label(data.frames[d.data.frame]) + " " + data.frames[d.data.frame].module);
    all.attr("class", d => "frame" + (d.depth < focus.depth ? " faded" : "") + (matches(d) ? " hit" : ""))
      .attr("transform", d => `translate(${left(d)},${d.depth * line})`);
    all.select("rect").attr("height", line - 1).attr("width", d => Math.max(0.5, right(d) - left(d)))
      .attr("fill", d => d.depth === 0 ? "var(--rss)" : warm(hash(data.frames[d.data.frame].function)))
      .on("click", d => { flame.focus = d; tipHide(); flameDraw(); })
      .on("mousemove", d => {
        const text = (d.depth === 0 ? "all" : label(data.frames[d.data.frame])) + "\n" + value(d.value, unit) + ", " + percent(d.value, whole);
        tipShow(d3.event, text);
        byId("detail").textContent = d.ancestors().slice(0, -1).map(a => data.frames[a.data.frame].function).join("  <  ") || "\u00a0";
      })
      .on("mouseleave", tipHide);
    all.select("text").text(d => {
      const fits = Math.floor((right(d) - left(d) - 8) / 6.6);
      const text = d.depth === 0 ? `all: ${value(whole, unit)}` : data.frames[d.data.frame].function;
      return fits < 3 ? "" : text.length > fits ? text.slice(0, fits - 1) + "\u2026" : text;
    });
    if (flame.pattern !== null) { // outermost matches only, so that nothing counts twice
      flame.root.each(d => {
        if (matches(d)) {
          hits++;
          if (!d.ancestors().slice(1).some(matches)) hitValue += d.value;
        }
      });
      byId("found").textContent = `${count(hits)} frames, ${value(hitValue, unit)}, ${percent(hitValue, whole)}`;
    } else {
      byId("found").textContent = "";
    }
  }
  function flameStart() {
    d3.select("#metric").selectAll("option").data(metrics).enter().append("option").attr("value", (d, i) => i).text(d => d.title);
    byId("metric").onchange = e => { flame.metric = +e.target.value; flameLayout(); flameDraw(); };
    byId("inverted").onchange = e => { flame.inverted = e.target.checked; flameLayout(); flameDraw(); };
    byId("reset").onclick = () => { flame.focus = flame.root; flameDraw(); };
    byId("search").oninput = e => {
      try {
        flame.pattern = e.target.value === "" ? null : new RegExp(e.target.value, "i");
        flameDraw();
      } catch (error) {
        byId("found").textContent = error.message;
      }
    };
    flameLayout();
    flameDraw();
  }

  // ---- time ----
  function timeStart() {
    const usable = data.timelines.map((points, i) => ({ points, process: data.processes[i] })).filter(t => t.points.length > 1);
    if (usable.length === 0) {
      byId("selection").textContent = "The file has no time line.";
      return;
    }
    if (usable.length > 1) {
      const choice = d3.select("#process-choice").append("select");
      choice.selectAll("option").data(usable).enter().append("option").attr("value", (d, i) => i).text(d => `${d.process.pid} ${d.process.command}`);
      choice.on("change", function () { timeDraw(usable[+this.value]); });
    }
    timeDraw(usable[0]);
    if (data.marks.length > 0) {
      d3.select("#marks").append("h2").text("Marks");
      d3.select("#marks").selectAll("div").data(data.marks).enter().append("div").text(d => `${time(d.time_ns)}  ${d.text}`);
    }
  }
  function timeDraw(line) {
    const width = byId("focus").clientWidth || 1000, margin = { left: 78, right: 12, top: 10, bottom: 22 };
    const points = line.points.map(p => ({ t: p[0], live: p[1], blocks: p[2], rss: p[3], used: p[4], allocs: p[5] }));
    const most = ps => d3.max(ps, p => Math.max(p.live, p.used, p.rss)) || 1;
    const x = d3.scaleLinear().domain([0, points[points.length - 1].t]).range([margin.left, width - margin.right]);
    function chart(where, height, ps, scale) {
      const y = d3.scaleLinear().domain([0, most(ps) * 1.04]).range([height - margin.bottom, margin.top]);
      d3.select(where).selectAll("*").remove();
      const svg = d3.select(where).append("svg").attr("height", height).attr("viewBox", `0 0 ${width} ${height}`);
      const area = field => d3.area().x(p => scale(p.t)).y0(y(0)).y1(p => y(p[field])).curve(d3.curveStepAfter)(ps);
      for (const [field, colour] of [["rss", "--rss"], ["used", "--used"], ["live", "--live"]])
        svg.append("path").attr("class", "area-" + field).attr("fill", `var(${colour})`).attr("d", area(field));
      svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - margin.bottom})`)
        .call(d3.axisBottom(scale).ticks(8).tickFormat(time));
      svg.append("g").attr("class", "axis").attr("transform", `translate(${margin.left},0)`)
        .call(d3.axisLeft(y).tickValues(byteTicks(y.domain()[1], height > 150 ? 6 : 2)).tickFormat(bytes));
      return svg;
    }
    const bisect = d3.bisector(p => p.t).right;
    function focusOn(from, to) {
      const low = Math.max(0, bisect(points, from) - 1), high = Math.min(points.length, bisect(points, to) + 1);
      const inside = points.slice(low, high), scale = x.copy().domain([from, to]);
      const svg = chart("#focus", 300, inside, scale);
      svg.append("rect").attr("x", margin.left).attr("width", width - margin.left - margin.right).attr("height", 300 - margin.bottom).attr("fill", "none")
        .attr("pointer-events", "all").on("mousemove", function () {
          const p = points[Math.max(0, bisect(points, scale.invert(d3.mouse(this)[0])) - 1)];
          tipShow(d3.event, `${time(p.t)}\nheap ${bytes(p.live)} in ${count(p.blocks)} blocks` + (p.used ? `\nslabs ${bytes(p.used)}, slack and free ${bytes(Math.max(0, p.used - p.live))}` : "") +
            (p.rss ? `\nresident ${bytes(p.rss)}` : ""));
        }).on("mouseleave", tipHide);
      const a = inside[0], b = inside[inside.length - 1];
      byId("selection").textContent = `${time(from)} to ${time(to)}: heap ${bytes(a.live)} to ${bytes(b.live)} (${b.live >= a.live ? "+" : "-"}${bytes(Math.abs(b.live - a.live))}), ` +
        `${count(b.allocs - a.allocs)} allocations, at most ${bytes(d3.max(inside, p => p.live))}`;
    }
    const svg = chart("#context", 90, points, x);
    const brush = d3.brushX().extent([[margin.left, margin.top], [width - margin.right, 90 - margin.bottom]]).on("brush end", () => {
      const range = d3.event.selection;
      if (range) focusOn(x.invert(range[0]), x.invert(range[1]));
      else focusOn(x.domain()[0], x.domain()[1]);
    });
    svg.append("g").attr("class", "brush").call(brush);
    d3.select("#context").append("div").attr("class", "legend").html(
      '<i style="background:var(--live)"></i>heap, as asked for<i style="background:var(--used)"></i>slack and free blocks of slabs' +
      '<i style="background:var(--rss)"></i>other resident memory<span style="margin-left:14px">drag over the small picture to look closer</span>');
    focusOn(x.domain()[0], x.domain()[1]);
  }

  // ---- tables ----
  function table(where, columns, rows) {
    let sorted = columns.findIndex(c => c.sort), up = false;
    function drawRows() {
      const list = rows.slice();
      if (sorted >= 0) list.sort((a, b) => (up ? 1 : -1) * d3.ascending(columns[sorted].value(a), columns[sorted].value(b)));
      d3.select(where).selectAll("*").remove();
      const t = d3.select(where).append("table");
      t.append("thead").append("tr").selectAll("th").data(columns).enter().append("th").attr("class", c => c.name ? "name" : null)
        .text((c, i) => c.title + (i === sorted ? (up ? " \u2191" : " \u2193") : ""))
        .on("click", (c, i) => { up = i === sorted ? !up : !!c.name; sorted = i; drawRows(); });
      const cells = t.append("tbody").selectAll("tr").data(list.slice(0, 500)).enter().append("tr").selectAll("td")
        .data(row => columns.map(column => ({ row, column }))).enter().append("td").attr("class", d => d.column.name ? "name" : null);
      cells.each(function (d) {
        if (d.column.draw) d.column.draw(d3.select(this), d.row);
        else this.textContent = d.column.text ? d.column.text(d.column.value(d.row)) : d.column.value(d.row);
      });
      if (list.length > 500) d3.select(where).append("p").text(`${count(list.length - 500)} more rows`);
    }
    drawRows();
  }
  const column = (title, read, text, more) => Object.assign({ title, value: read, text }, more);
  function functionsStart() {
    const rows = new Map();
    data.tree.self.forEach((self, id) => {
      if (id === 0 || self.every(n => n === 0)) return;
      const frame = data.frames[data.tree.caller[id]], key = frame.function + "\0" + (frame.file || frame.module);
      if (!rows.has(key)) rows.set(key, { frame, self: metrics.map(() => 0) });
      self.forEach((n, i) => { rows.get(key).self[i] += n; });
    });
    table("#functions", metrics.map((m, i) => column(m.short, r => r.self[i], n => value(n, m.unit), { sort: i === 0 })).concat([
      column("asked for by", r => r.frame.function, null, { name: true, draw: (cell, r) => {
        cell.text(r.frame.function);
        cell.append("small").text(r.frame.file ? `${r.frame.file}:${r.frame.line}` : r.frame.module);
      } })]), Array.from(rows.values()));
  }
  function histogram(where, buckets, name) {
    const width = byId(where).clientWidth || 1000, height = 240, margin = { left: 78, right: 12, top: 10, bottom: 60 };
    const shown = buckets.map((n, i) => ({ n, i })).filter(b => b.n > 0 || buckets.slice(b.i).some(n => n > 0));
    if (shown.length === 0) {
      byId(where).textContent = "nothing was counted";
      return;
    }
    const x = d3.scaleBand().domain(shown.map(b => b.i)).range([margin.left, width - margin.right]).padding(0.15);
    const y = d3.scaleLinear().domain([0, d3.max(shown, b => b.n)]).nice().range([height - margin.bottom, margin.top]);
    const svg = d3.select("#" + where).append("svg").attr("height", height).attr("viewBox", `0 0 ${width} ${height}`);
    const all = d3.sum(buckets);
    svg.selectAll("rect").data(shown).enter().append("rect").attr("x", b => x(b.i)).attr("width", x.bandwidth())
      .attr("y", b => y(b.n)).attr("height", b => y(0) - y(b.n)).attr("fill", "var(--live)")
      .on("mousemove", b => tipShow(d3.event, `${name(b.i)}\n${count(b.n)} blocks, ${percent(b.n, all)}`)).on("mouseleave", tipHide);
    svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - margin.bottom})`).call(d3.axisBottom(x).tickFormat(i => name(i).replace(/ \.\..*/, "")))
      .selectAll("text").attr("transform", "rotate(-30)").attr("text-anchor", "end");
    svg.append("g").attr("class", "axis").attr("transform", `translate(${margin.left},0)`).call(d3.axisLeft(y).ticks(5, "~s"));
  }
  function histogramsStart() {
    histogram("sizes", data.sizes, i => `${i === 0 ? "0 B" : bytes(Math.pow(2, i))} .. ${bytes(Math.pow(2, i + 1) - 1)}`);
    histogram("ages", data.ages, i => i === 0 ? "at once .. before the next allocation" : `${count(Math.pow(2, i))} .. ${count(Math.pow(2, i + 1) - 1)}`);
  }
  function threadsStart() {
    const known = (n, text) => n === null ? "-" : text(n);
    table("#threads", [
      column("allocated", t => t.bytes, n => known(n, bytes), { sort: true }), column("blocks", t => t.allocs, n => known(n, count)),
      column("freed", t => t.frees, n => known(n, count)), column("freed, of other threads", t => t.frees_remote, n => known(n, count)),
      column("from", t => t.begin_ns, time), column("to", t => t.end_ns, n => n === null ? "the end" : time(n)),
      column("process", t => data.processes[t.process].pid), column("thread", t => `${t.name || "thread"} ${t.tid}`, null, { name: true })], data.threads);
  }
  function classesStart() {
    if (data.classes.length === 0) byId("classes").textContent = "The file has no snapshot of the allocator.";
    else table("#classes", [
      column("size class", c => c.block_bytes, n => n === 0 ? "large" : bytes(n)), column("slabs", c => c.slabs, count),
      column("slab bytes", c => c.slab_bytes, bytes, { sort: true }), column("live blocks", c => c.live, count), column("cached", c => c.cached, count),
      column("in use", c => c.slab_bytes === 0 ? 0 : used(c) / c.slab_bytes, n => percent(n, 1)),
      column("", c => used(c), null, { draw: (cell, c) => cell.append("span").attr("class", "room").append("span").attr("class", "fill")
        .style("width", Math.min(160, c.slab_bytes === 0 ? 0 : 160 * used(c) / c.slab_bytes) + "px") })], data.classes);
    if (data.pins.length === 0) byId("pins").textContent = "None.";
    else table("#pins", [
      column("idle", p => p.idle_bytes, bytes, { sort: true }), column("slabs", p => p.slabs, count), column("blocks", p => p.blocks, count),
      column("blocks of", p => p.stack.map(f => data.frames[f].function).join(" < "), null, { name: true })], data.pins);
  }
  const used = c => c.block_bytes === 0 ? (c.live_bytes || c.slab_bytes) : c.live * c.block_bytes;

  const draw = { flame: flameStart, time: timeStart, functions: functionsStart, histograms: histogramsStart, threads: threadsStart, classes: classesStart };
  let resizing = 0;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => { if (flame.root && !byId("tab-flame").hidden) flameDraw(); }, 100);
  });
  const wanted = location.hash.replace("#tab=", ""); // no element's id, so that the page does not scroll to one
  openTab(tabs.some(t => t[0] === wanted) ? wanted : "flame");
})();
