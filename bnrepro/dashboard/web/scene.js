// The scene: what is drawn for the present view, from the choice of axes to means and ranges.

const MANY = 12; // arms, above which only the newest are chosen at first
const NEWEST = 8;

/** The choice of axes for a table: the view's where it makes sense, else a first one. */
function choiceOf(set, table) {
  const metrics = metricsOf(table);
  const pick = (asked, list, first) => (list.includes(asked) ? asked : (first ?? list[0] ?? ""));
  const numeric = table.keys.filter((key) => key !== "seed" && isNumeric(set, table, key));
  const count = (key) => valuesOf(set, table, key).length;
  const most = [...numeric].sort((a, b) => count(b) - count(a));
  const metric = pick(view.metric, metrics);
  const canMap = table.keys.some((key) => !["seed", "step", "variant"].includes(key));
  const mapFirst = !table.counters.length && numeric.length > 1;
  const mode = canMap
    ? pick(view.mode, ["curves", "heat map"], mapFirst ? "heat map" : "curves")
    : "curves";
  if (mode === "heat map") return mapChoice(set, table, { metric, mode, most, pick });
  const others = table.counters.length ? [] : table.measures.filter((name) => name !== metric);
  const xs = [...new Set([...table.counters, ...most, ...others])];
  const x = pick(view.x, xs);
  const keys = table.keys.filter(
    (key) =>
      key !== x &&
      key !== "seed" &&
      !(key === "step" && table.counters.includes(x)) &&
      !isOnly(set, table, key),
  );
  const colour = pick(view.colour, keys, firstColour(keys, set, table));
  const filtered = keys.filter((key) => key !== colour);
  const filter = filterOf(set, table, filtered);
  return { metric, mode, x, xs, colour, keys, filtered, filter, canMap };
}

function mapChoice(set, table, { metric, mode, most, pick }) {
  const keys = table.keys.filter((key) => key !== "seed" && !isOnly(set, table, key));
  const xs = [...new Set([...most, ...keys])];
  const x = pick(view.x, xs);
  const downs = xs.filter((key) => key !== x);
  const down = pick(view.down, downs);
  const filtered = keys.filter((key) => key !== x && key !== down);
  const filter = filterOf(set, table, filtered);
  return { metric, mode, x, xs, down, downs, colour: "", keys: [], filtered, filter, canMap: true };
}

/** Whether a sweep's one arm is the key's only value. */
const isOnly = (set, table, key) =>
  key === "variant" && String(valuesOf(set, table, key)) === "sweep";

function firstColour(keys, set, table) {
  const named = ["arm", "value", "variant"].find((key) => keys.includes(key));
  return named ?? keys.find((key) => !isNumeric(set, table, key)) ?? keys[0];
}

/** One value of each key that is not drawn: the view's, else the last step, else the first of the
    values with the most rows. */
function filterOf(set, table, keys) {
  const filter = {};
  for (const key of keys) {
    const values = valuesOf(set, table, key).map(String);
    const rows = countsOf(set, table, key);
    const most = Math.max(...rows.values());
    const first = key === "step" ? values.at(-1) : values.find((value) => rows.get(value) === most);
    const asked = view.filter[key];
    filter[key] = asked === "all" || values.includes(asked) ? asked : first;
  }
  return filter;
}

/** Curves of the present choice; kept until rows or the choice change. */
function cachedCurves(set, table, choice) {
  const rows = table.chunks.reduce((sum, c) => sum + c.n + (c.extra?.length ?? 0), 0);
  const { metric, x, colour, filter } = choice;
  const name = JSON.stringify([metric, x, colour, filter, rows, table.chunks.length]);
  if (table.cached?.name !== name) table.cached = { name, curves: curvesOf(set, table, choice) };
  return table.cached.curves;
}

/** The values of the colour key that curves have, with their looks. */
function groupsOf(set, table, choice, curves) {
  const present = new Set(curves.map((curve) => curve.group));
  const all = choice.colour ? valuesOf(set, table, choice.colour) : [null];
  const values = all.filter((value) => present.has(value) || choice.colour === "variant");
  const looks = looksOf(values);
  const isShown = shownOf(set, choice, values);
  return values.map((value) => ({
    value,
    ...looks.get(value),
    colour: drawn(looks.get(value).colour),
    shown: isShown(value),
    curves: curves.filter((curve) => curve.group === value),
  }));
}

/** Which values of the colour key are drawn: the view's, else all or the newest of many. */
function shownOf(set, choice, values) {
  if (view.arms) return (value) => view.arms.includes(String(value));
  if (values.length <= MANY) return () => true;
  return (value) => newest(set, choice, values).has(value);
}

function newest(set, choice, values) {
  if (choice.colour !== "variant") return new Set(values.slice(0, MANY));
  const time = (value) =>
    Math.max(0, ...set.runs.filter((run) => run.arm === value).map((run) => run.updated ?? 0));
  return new Set([...values].sort((a, b) => time(b) - time(a)).slice(0, NEWEST));
}

/** All that the chart needs to draw the view. */
function sceneOf(set, table, choice, box) {
  const groups = groupsOf(set, table, choice, cachedCurves(set, table, choice));
  const bounds = boundsOf(choice.metric);
  for (const group of groups) group.mean = meanOf(set, table, group, bounds);
  const shown = groups.filter((group) => group.shown && group.curves.length);
  const scene = {
    set,
    table,
    choice,
    box,
    every: groups,
    groups: shown,
    seeds: view.seeds,
    smooth: view.smooth,
    count: shown.reduce((sum, group) => sum + group.curves.length, 0),
  };
  Object.assign(scene, targetOf(scene));
  return Object.assign(scene, axesOf(scene));
}

/** The mean of a group's curves, unless there is one alone or they ended in different ways. */
function meanOf(set, table, group, bounds) {
  const { curves } = group;
  if (!view.mean || curves.length < 2 || curves[0].low) return null;
  if (new Set(curves.map((curve) => runOf(set, curve)?.outcome ?? "")).size > 1) return null;
  table.cached.means ??= new Map();
  if (!table.cached.means.has(group.value)) {
    table.cached.means.set(group.value, meanCurve(curves, bounds));
  }
  const mean = table.cached.means.get(group.value);
  return mean.x.length ? mean : null;
}

/** The run that a curve is of. */
function runOf(set, curve) {
  const name = runName(curve.key.variant, curve.key);
  set.index ??= new Map(set.runs.map((run) => [runName(run.arm, run), run]));
  return set.index.get(name);
}

const runName = (arm, { round, value, seed }) => [arm, round, value, seed].join("/");

/** Both axes: the zoom's, else what holds the curves. */
function axesOf(scene) {
  const { box } = scene;
  const [x0, x1, y0, y1] = shownZoom() ?? rangeOf(scene);
  return {
    across: axis(x0, x1, box.left, box.right, view.logx),
    up: axis(y0, y1, box.bottom, box.top, view.logy),
  };
}

/** The zoom, if these axes can show it: an address may ask for what a logarithm has not. */
function shownZoom() {
  if (!view.zoom) return null;
  const [x0, x1, y0, y1] = view.zoom;
  const positive = (!view.logx || x0 > 0) && (!view.logy || y0 > 0);
  return positive && x1 > x0 && y1 > y0 ? view.zoom : null;
}

const LONG = 40; // points of a curve

/** The range that holds the curves. Of long ones the first twentieth counts for x alone, for there
    accuracy and loss say nothing of what follows; the button `whole curve` shows it too. */
function rangeOf(scene, whole = false) {
  let [x0, x1] = [Infinity, -Infinity];
  const lines = scene.groups.flatMap((group) => group.curves);
  for (const { x } of lines) {
    const first = view.logx ? (x.find((value) => value > 0) ?? Infinity) : x[0];
    [x0, x1] = [Math.min(x0, first), Math.max(x1, x.at(-1))];
  }
  if (x0 > x1) return [...widened(NaN, NaN, view.logx), ...widened(NaN, NaN, view.logy)];
  const isCounter = scene.table.counters.includes(scene.choice.x);
  const isLong = isCounter && lines.some((curve) => curve.x.length > LONG);
  const from = !whole && isLong && !view.logx ? x0 + 0.05 * (x1 - x0) : -Infinity;
  let [y0, y1] = [Infinity, -Infinity];
  for (const curve of lines) {
    const start = lowerBound(curve.x, from);
    for (const values of curve.low ? [curve.low, curve.high] : [curve.y]) {
      for (let i = start < values.length ? start : 0; i < values.length; i++) {
        const value = values[i];
        if (view.logy && value <= 0) continue;
        if (value < y0) y0 = value;
        if (value > y1) y1 = value;
      }
    }
  }
  return [
    ...widened(isCounter && !view.logx ? Math.min(0, x0) : x0, x1, view.logx, isCounter),
    ...widened(y0, y1, view.logy),
  ];
}

/** A range with a margin, never empty. */
function widened(lo, hi, log, flush = false) {
  if (log) {
    if (!(lo > 0)) return [0.1, 1];
    const part = flush ? 1 : Math.max(1.02, (hi / lo) ** 0.05);
    return hi / lo > 1.0001 ? [lo / part, hi * part] : [lo / 2, hi * 2];
  }
  if (!(hi >= lo)) return [0, 1];
  const part = hi > lo ? 0.05 * (hi - lo) : Math.abs(hi) * 0.1 || 1;
  return flush ? [lo, hi > lo ? hi : lo + part] : [lo - part, hi + part];
}
