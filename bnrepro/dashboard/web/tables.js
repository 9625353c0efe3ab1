// From a table's rows to curves, for a choice of axes.
//
// A curve: {group, colour value; name, "seed 3"; x, y, step (arrays); low, high (of a percentile
// band); base {x, y, step}, from which means and smooth curves are made; run}.

const BAND = ["p15", "median", "p85"];
const ACCURACIES = ["test_accuracy", "accuracy"];
const setNamed = (name) => DATA.sets.find((set) => set.name === name);
const tableOf = (set, name) => set.tables.find((table) => table.name === name) ?? set.tables[0];

/** The columns that a metric is drawn from: one, or three of a percentile band. */
function columnsOf(metric) {
  if (metric.startsWith("error:")) return [metric.slice(6)];
  if (metric === "band:units") return ["p15", "p50", "p85"];
  if (!metric.startsWith("band:")) return [metric];
  return BAND.map((part) => `${part}_${metric.slice(5)}`);
}

/** The metrics of a table; percentiles that belong together are one. */
function metricsOf(table) {
  const has = (name) => table.measures.includes(name);
  const bands = table.measures
    .filter((name) => name.startsWith("p15_"))
    .map((name) => `band:${name.slice(4)}`);
  if (["p15", "p50", "p85"].every(has)) bands.unshift("band:units");
  const parts = new Set(bands.flatMap(columnsOf).filter((name) => name.startsWith("p")));
  const plain = table.measures.filter((name) => !parts.has(name));
  const accuracies = ACCURACIES.filter(has);
  const errors = accuracies.map((name) => `error:${name}`);
  return [...new Set([...accuracies, ...errors, ...plain, ...bands])];
}

/** The values of a table's key, in order; those of its chunks and of their rows. */
function valuesOf(set, table, key) {
  table.known ??= {};
  const rows = table.chunks.reduce((sum, chunk) => sum + (chunk.extra?.length ?? 0), 0);
  const known = table.known[key];
  if (known && known.rows === rows && known.chunks === table.chunks.length) return known.values;
  const found = new Set();
  for (const chunk of table.chunks) {
    if (key in chunk.key) found.add(chunk.key[key]);
    else for (const value of columnOf(set, chunk, key)) found.add(plainValue(value));
  }
  let values = [...found].filter((value) => value !== "");
  if (values.every((value) => value === null || typeof value === "number")) {
    values = values.sort((a, b) => (a ?? -Infinity) - (b ?? -Infinity));
  } else values = inOrderOfLooks(values);
  table.known[key] = { values, rows, chunks: table.chunks.length };
  return values;
}

/** How many rows have each value of a key. */
function countsOf(set, table, key) {
  table.counts ??= {};
  if (table.counts[key]) return table.counts[key];
  const counts = new Map();
  const add = (value, n) => counts.set(String(value), (counts.get(String(value)) ?? 0) + n);
  for (const chunk of table.chunks) {
    if (key in chunk.key) add(chunk.key[key], chunk.n + (chunk.extra?.length ?? 0));
    else for (const value of columnOf(set, chunk, key)) add(plainValue(value), 1);
  }
  return (table.counts[key] = counts);
}

/** Words that are arms of the figures in the figures' order, then the others as they came. */
function inOrderOfLooks(values) {
  const order = Object.keys(DATA.looks);
  const place = (value) => (order.includes(value) ? order.indexOf(value) : order.length);
  return values.sort((a, b) => place(a) - place(b));
}

const plainValue = (value) => (Number.isNaN(value) ? null : value);
const isNumeric = (set, table, key) => valuesOf(set, table, key).some((v) => typeof v === "number");

/** The curves of a choice {metric, x, colour, filter}; `filter` names one value of other keys. */
function curvesOf(set, table, choice) {
  const curves = [];
  const isCounter = table.counters.includes(choice.x);
  for (const chunk of table.chunks) {
    if (!passes(chunk.key, choice.filter)) continue;
    const inner = table.keys.filter((key) => !(key in chunk.key));
    const apart = inner.filter((key) => key !== choice.x && !(isCounter && key === "step"));
    const rows = apart.length
      ? groups(set, chunk, apart, choice.filter)
      : [{ key: {}, rows: null }];
    for (const part of rows) {
      const key = { ...chunk.key, ...part.key };
      const curve = curveOf(set, table, chunk, part.rows, choice);
      const group = key[choice.colour] ?? null;
      if (curve) curves.push({ ...curve, key, group, name: nameOf(key, choice) });
    }
  }
  return curves;
}

/** Whether what is known of a row or chunk agrees with the filter. */
function passes(key, filter) {
  return Object.entries(filter).every(
    ([name, value]) => !(name in key) || value === "all" || String(key[name]) === value,
  );
}

/** The rows of a chunk, apart by their keys. */
function groups(set, chunk, keys, filter) {
  const columns = keys.map((key) => columnOf(set, chunk, key));
  const found = new Map();
  const length = chunk.n + (chunk.extra?.length ?? 0);
  for (let i = 0; i < length; i++) {
    const values = columns.map((column) => plainValue(column[i]));
    const name = values.join("\u0001");
    if (!found.has(name)) {
      const key = Object.fromEntries(keys.map((k, j) => [k, values[j]]));
      found.set(name, passes(key, filter) ? { key, rows: [] } : null);
    }
    found.get(name)?.rows.push(i);
  }
  return [...found.values()].filter(Boolean);
}

/** One curve from rows of a chunk (null: all of them), in the order of x. */
function curveOf(set, table, chunk, rows, choice) {
  const names = columnsOf(choice.metric);
  if (!names.every((name) => name in chunk.columns || chunk.extra?.some((row) => name in row))) {
    return null;
  }
  const kept = rowsOf(set, chunk, names[0]);
  const xs = columnOf(set, chunk, choice.x);
  const steps = table.counters.length ? columnOf(set, chunk, "step") : xs;
  const [low, middle, high] = names.map((name) => columnOf(set, chunk, name));
  const taken = { x: xs, step: steps };
  const read = names.length === 3 ? { y: middle, low, high } : { y: low };
  const curve = inOrder(points(kept ?? rows, Boolean(kept), taken, read));
  if (!curve) return null;
  const base = baseOf(set, chunk, names, xs, steps) ?? curve;
  if (choice.metric.startsWith("error:")) {
    for (const each of new Set([curve, base])) each.y = each.y.map((value) => 1 - value);
  }
  return Object.assign(curve, { base, thinned: base !== curve });
}

/** Columns at these rows as arrays, without rows that lack a number. A column of `read` has a
    value for each of the `rows` where it is thinned, else for each row. Whole columns are taken as
    they are. */
function points(rows, thinned, taken, read) {
  const count = rows ? rows.length : taken.x.length;
  const [rowOf, placeOf] = [new Int32Array(count), new Int32Array(count)];
  let n = 0;
  for (let i = 0; i < count; i++) {
    const row = rows ? rows[i] : i;
    const place = thinned ? i : row;
    if (!Number.isFinite(read.y[place]) || !Number.isFinite(taken.x[row])) continue;
    rowOf[n] = row;
    placeOf[n++] = place;
  }
  if (!rows && n === count) return { ...taken, ...read };
  const found = {};
  for (const name in taken) found[name] = picked(taken[name], rowOf, n);
  for (const name in read) found[name] = picked(read[name], placeOf, n);
  return found;
}

/** The values of a column at the first n of these places. */
function picked(column, places, n) {
  const values = new Float64Array(n);
  for (let i = 0; i < n; i++) values[i] = column[places[i]];
  return values;
}

/** The points of a curve by rising x; nothing where there are none. */
function inOrder(curve) {
  const { x } = curve;
  if (!x.length) return null;
  let i = 1;
  while (i < x.length && x[i] >= x[i - 1]) i++;
  if (i >= x.length) return curve;
  const order = [...x.keys()].sort((a, b) => x[a] - x[b]);
  return Object.fromEntries(
    Object.entries(curve).map(([name, values]) => [name, picked(values, order, order.length)]),
  );
}

/** Bucket means of a thinned curve, as a curve. */
function baseOf(set, chunk, names, xs, steps) {
  const found = names.length === 1 ? meansOf(set, chunk, names[0]) : null;
  if (!found) return null;
  return {
    x: Float64Array.from(found.rows, (row) => xs[row]),
    y: Float64Array.from(found.means),
    step: Float64Array.from(found.rows, (row) => steps[row]),
  };
}

/** How a curve differs from the others of its colour: "seed 3". */
function nameOf(key, choice) {
  const parts = Object.entries(key).filter(
    ([name]) =>
      name !== choice.colour &&
      name !== choice.x &&
      !(name in choice.filter && choice.filter[name] !== "all"),
  );
  return parts.map(([name, value]) => `${words(name)} ${short(value)}`).join(", ");
}
