// Draws the charts of a report from the JSON in the page. All charts share one axis of virtual seconds: their cursors
// move together, and looking closer at a stretch in one does so in all.
(() => {
  "use strict";
  addEventListener("error", (event) => { document.body.dataset.error = event.message; });

  const { timeline, marks } = JSON.parse(document.getElementById("data").textContent);
  const home = document.getElementById("charts");
  // Okabe and Ito's colours, which differ for every eye.
  const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b3a300", "#8b5cf6"];
  const LINES_MAX = 12;
  const seconds = timeline.samples.map((sample) => sample.micros / 1e6);
  const nodes = timeline.samples.length ? timeline.samples[0].nodes.length : 0;
  const last = Math.max(seconds.at(-1) ?? 0, ...timeline.spans.map((span) => span.to_micros / 1e6), 1e-6);
  const charts = [];
  let following = false;

  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = (value) => {
    const units = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
    const unit = units.find(([size]) => Math.abs(value) >= size);
    return unit ? +(value / unit[0]).toPrecision(3) + unit[1] : String(+value.toPrecision(3));
  };
  const bytes = (value) => {
    const units = [[2 ** 30, " GiB"], [2 ** 20, " MiB"], [2 ** 10, " KiB"]];
    const unit = units.find(([size]) => value >= size);
    return unit ? +(value / unit[0]).toPrecision(3) + unit[1] : value + " B";
  };

  // The same stretch of time in every chart.
  const follow = (chart) => {
    if (following) return;
    following = true;
    const { min, max } = chart.scales.x;
    for (const other of charts) if (other !== chart) other.setScale("x", { min, max });
    following = false;
  };

  const place = (title) => {
    const box = document.createElement("div");
    box.className = "chart";
    const heading = document.createElement("h3");
    heading.textContent = title;
    box.append(heading);
    home.append(box);
    return box;
  };

  // One width for all, or an instant would stand at another place in each chart.
  const NAMES_WIDTH = 130;
  // The unit of time that the stretch in view is told in, and the decimals that tell two neighbouring ticks apart.
  const timeUnit = (from, to) => [[1, "s"], [1e-3, "ms"]].find(([size]) => to - from >= size) ?? [1e-6, "µs"];
  const timeNames = (splits, from, to, step) => {
    const [size, name] = timeUnit(from, to);
    const decimals = Math.max(0, Math.ceil(-Math.log10(step / size) - 1e-9));
    return splits.map((value) => value == null ? "" : `${(value / size).toFixed(decimals)} ${name}`);
  };
  // Names of times must have room beside one another: so many pixels for the widest of them.
  const CHARACTER_WIDTH = 8;
  const room = (chart, _axis, from, to, width) => {
    const step = (to - from) / Math.max(1, width / 60);
    const widest = Math.max(...timeNames([from, to], from, to, step).map((name) => name.length));
    return CHARACTER_WIDTH * (widest + 2);
  };
  const axes = (unit) => [
    { stroke: ink("--faint"), grid: { stroke: ink("--line"), width: 1 }, ticks: { stroke: ink("--line") }, space: room,
      values: (chart, splits, _axis, _space, step) => timeNames(splits, chart.scales.x.min, chart.scales.x.max, step) },
    { stroke: ink("--faint"), grid: { stroke: ink("--line"), width: 1 }, ticks: { stroke: ink("--line") }, size: NAMES_WIDTH,
      ...(unit === bytes && { incrs: Array.from({ length: 40 }, (_, power) => 2 ** power) }),
      values: (_, splits) => splits.map(unit) },
  ];

  const options = (height, series, unit, hooks = {}) => ({
    width: home.clientWidth, height, series: [{ label: "time", value: (_, value) => value == null ? "" : value.toFixed(6) + " s" }, ...series],
    axes: axes(unit), scales: { x: { time: false } },
    cursor: { sync: { key: "run" }, points: { size: 6 } },
    hooks: { ...hooks, setScale: [(chart, key) => { if (key === "x") follow(chart); }] },
  });

  // A value between two gaps has no line: it is drawn as a point.
  const alone = (chart, index) => {
    const values = chart.data[index];
    return values.flatMap((value, at) =>
      value != null && values[at - 1] == null && values[at + 1] == null ? [at] : []);
  };

  const lines = (title, named, unit) => {
    if (!seconds.length) return;
    const series = named.map(({ name, dash }, index) => ({
      label: name, width: dash ? 1 : 1.5, dash,
      points: { show: () => false, filter: alone, size: 5, fill: dash ? undefined : COLOURS[index % COLOURS.length] },
      stroke: dash ? ink("--faint") : COLOURS[index % COLOURS.length],
      value: (_, value) => value == null ? "" : unit(value),
    }));
    const data = [seconds, ...named.map(({ values }) => values)];
    const box = place(title);
    charts.push(new uPlot(options(190, series, unit), data, box));
  };

  const byNode = (pick) => Array.from({ length: nodes }, (_, node) =>
    ({ name: "node " + node, values: timeline.samples.map((sample) => pick(sample.nodes[node])) }));
  const most = (values) => values.reduce((high, value) => Math.max(high, value ?? 0), 0);
  // Of many lines the highest are worth the room; the title says so.
  const highest = (title, named) => {
    if (named.length <= LINES_MAX) return [title, named];
    named.sort((a, b) => most(b.values) - most(a.values));
    return [`${title} (the ${LINES_MAX} highest of ${named.length})`, named.slice(0, LINES_MAX)];
  };
  // A count since the beginning, as so many a second.
  const rate = ({ name, values }) => ({ name, values: values.map((value, index) => {
    const past = index ? seconds[index] - seconds[index - 1] : 0;
    return past > 0 ? Math.max(0, value - values[index - 1]) / past : null;
  }) });

  // One row for each kind of thing that lasted, a bar for each time it did.
  const spans = () => {
    const kinds = [...new Set(timeline.spans.map((span) => span.kind))].sort();
    if (!kinds.length) return;
    const row = new Map(kinds.map((kind, index) => [kind, index]));
    const left = timeline.spans_left_out ? ` (${timeline.spans_left_out} more are not shown)` : "";
    const box = place("Faults and jobs" + left);
    const told = document.createElement("div");
    told.className = "spans-told";
    const draw = (chart) => {
      const { ctx, bbox } = chart;
      const height = bbox.height / kinds.length;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      for (const span of timeline.spans) {
        const at = row.get(span.kind);
        const from = chart.valToPos(span.from_micros / 1e6, "x", true);
        const to = chart.valToPos(span.to_micros / 1e6, "x", true);
        ctx.fillStyle = COLOURS[at % COLOURS.length];
        ctx.globalAlpha = 0.75;
        ctx.fillRect(from, bbox.top + at * height + height * 0.15, Math.max(2, to - from), height * 0.7);
      }
      ctx.restore();
    };
    const tell = (chart) => {
      const { left: x, top: y } = chart.cursor;
      if (x == null || x < 0) { told.textContent = ""; return; }
      const kind = kinds[Math.floor(y / (chart.over.clientHeight / kinds.length))];
      const at = chart.posToVal(x, "x") * 1e6;
      const slack = 3 * (chart.posToVal(1, "x") - chart.posToVal(0, "x")) * 1e6;
      const near = timeline.spans.filter((span) =>
        span.kind === kind && span.from_micros - slack <= at && at <= span.to_micros + slack);
      told.textContent = near.slice(0, 3).map((span) =>
        `${span.kind}, ${span.from_micros / 1e6} to ${span.to_micros / 1e6} s: ${span.what}`).join(" · ");
    };
    const wanted = options(28 * kinds.length + 60, [{ label: "", show: false }], short, { draw: [draw], setCursor: [tell] });
    wanted.scales.y = { range: [0, kinds.length] };
    wanted.axes[1].values = (_, splits) => splits.map((value) => kinds[kinds.length - 1 - value + 0.5] ?? "");
    wanted.axes[1].splits = () => kinds.map((_, index) => index + 0.5);
    wanted.legend = { show: false };
    charts.push(new uPlot(wanted, [[0, last], [null, null]], box));
    box.append(told);
  };

  const build = () => {
    charts.splice(0).forEach((chart) => chart.destroy());
    home.replaceChildren();
    spans();
    const names = [...new Set(timeline.samples.flatMap((sample) => Object.keys(sample.lags)))].sort();
    const lags = names.map((name) => ({ name, values: timeline.samples.map((sample) => sample.lags[name] ?? null) }));
    lines(...highest("Seqnos behind, by stream connection", lags), short);
    const memory = byNode((node) => node.checkpoint_bytes);
    const peak = most(memory.map(({ values }) => most(values)));
    // A mark far above everything would press the rest into one line; the title names it all the same.
    const levels = marks.filter(([, level]) => level <= 6 * peak)
      .map(([name, level]) => ({ name, dash: [6, 4], values: seconds.map(() => level) }));
    const [title, kept] = highest("Checkpoint memory, by node", memory);
    const told = marks.map(([name, level]) => `${name} ${bytes(level)}`).join(", ");
    lines(`${title}: at most ${bytes(peak)}; ${told}`, [...kept, ...levels], bytes);
    lines(...highest("Items expelled a second", byNode((node) => node.expelled).map(rate)), short);
    const dropped = byNode((node) => node.cursors_dropped).filter(({ values }) => most(values) > 0);
    if (dropped.length) lines(...highest("Cursors dropped so far", dropped), short);
    lines(...highest("Items a flush wrote, on average",
      byNode((node) => node.flushes ? node.flushed_items / node.flushes : null)), short);
    lines(...highest("Longest flush, milliseconds", byNode((node) => node.flushes ? node.flush_micros_max / 1e3 : null)), short);
    for (const chart of charts) chart.setScale("x", { min: 0, max: last });
    document.body.dataset.charts = charts.length;
  };

  build();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);
  let width = home.clientWidth;
  new ResizeObserver(() => {
    if (home.clientWidth === width) return;
    width = home.clientWidth;
    for (const chart of charts) chart.setSize({ width, height: chart.height });
  }).observe(home);
  document.body.dataset.ready = "true";
})();
