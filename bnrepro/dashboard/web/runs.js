// The table of runs, which a click on a column sorts, and the progress of those that run.

const COLUMNS = [
  ["arm", "arm", (run) => DATA.looks[run.arm]?.label ?? run.arm],
  ["round", "round", (run) => exact(run.round)],
  ["value", "value", (run) => exact(run.value)],
  ["seed", "seed", (run) => String(run.seed ?? "–")],
  ["lr", "lr", (run) => exact(run.lr)],
  ["init_std", "init_std", (run) => exact(run.init_std)],
  ["status", "status", (run) => run.status],
  ["outcome", "outcome", outcomeOf],
  ["done", "steps", (run) => exact(run.done)],
  ["last", "last accuracy", (run) => exact(run.last)],
  ["best", "best accuracy", (run) => exact(run.best)],
  ["seconds", "time", (run) => duration(run.seconds)],
  ["updated", "last change", (run) => (run.updated ? moment(run.updated) : "–")],
  ["note", "note", (run) => run.note],
];
const SETTINGS = ["lr", "init_std"]; // shown where runs differ in them
const SHOWN_ROWS = 400;

/** How a run ended: `collapsed`, `non-finite at step 120`. */
function outcomeOf(run) {
  if (run.non_finite !== null && run.non_finite !== undefined) {
    return `non-finite at step ${exact(run.non_finite)}`;
  }
  return run.outcome ?? "–";
}

const moment = (seconds) => new Date(1000 * seconds).toLocaleString("sv-SE").slice(0, 16);

/** The settings in which the runs' arms differ. */
function differing(set) {
  const all = [...new Set(set.runs.map((run) => run.arm))].map((arm) => set.settings[arm] ?? {});
  const keys = [...new Set(all.flatMap(Object.keys))];
  return keys.filter((key) => new Set(all.map((each) => JSON.stringify(each[key]))).size > 1);
}

function columnsOfRuns(set) {
  const values = (key) => set.runs.map((run) => run[key] ?? "");
  const used = COLUMNS.filter(
    ([key]) =>
      ["arm", "status"].includes(key) ||
      (SETTINGS.includes(key) ? new Set(values(key)).size > 1 : values(key).some((v) => v !== "")),
  );
  const setting = (key) => (run) => exact(set.settings[run.arm]?.[key]);
  return [...used, ...differing(set).map((key) => [`s.${key}`, key, setting(key)])];
}

/** The runs by the chosen column: numbers as numbers, runs without a value last. */
function sorted(set) {
  const back = view.sort.startsWith("-");
  const key = view.sort.replace("-", "");
  if (!key) return set.runs;
  const valueOf = (run) =>
    (key.startsWith("s.") ? set.settings[run.arm]?.[key.slice(2)] : run[key]) ?? null;
  return [...set.runs].sort((one, other) => {
    const [a, b] = [valueOf(one), valueOf(other)];
    if (a === null || b === null) return (a === null) - (b === null);
    const order =
      typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return back ? -order : order;
  });
}

function showRuns(set) {
  const place = byId("runs");
  const content = JSON.stringify([set.name, view.sort, set.runs]);
  if (place.content === content) return;
  place.content = content;
  const columns = columnsOfRuns(set);
  const table = element("table");
  const head = element("tr");
  for (const [key, said] of columns) {
    const active = view.sort.replace("-", "") === key;
    const direction = view.sort.startsWith("-") ? "descending" : "ascending";
    const cell = element("th", { "scope": "col", "aria-sort": active ? direction : "none" });
    const sort = element("button", { type: "button", id: `sort-${key}` }, said);
    sort.addEventListener("click", () => change({ sort: view.sort === key ? `-${key}` : key }));
    cell.append(sort);
    head.append(cell);
  }
  table.createTHead().append(head);
  const body = table.createTBody();
  for (const run of sorted(set).slice(0, SHOWN_ROWS)) body.append(rowOf(run, columns));
  keepFocus(place, () => {
    place.replaceChildren(element("h2", {}, `Runs (${set.runs.length})`));
    const about = { "class": "scroll", "tabindex": "0", "aria-label": "table of runs" };
    const scroll = element("div", about);
    scroll.append(table);
    place.append(scroll);
    if (set.runs.length > SHOWN_ROWS) {
      place.append(element("p", {}, `The first ${SHOWN_ROWS} are shown; sort to see others.`));
    }
  });
}

function rowOf(run, columns) {
  const row = element("tr");
  for (const [key, , say] of columns) {
    const cell = element("td", {}, say(run));
    if (key === "status") cell.className = `status ${run.status}`;
    row.append(cell);
  }
  return row;
}

/** A bar for each arm that runs: how far it is and the time left. */
function showProgress() {
  const place = byId("progress");
  const running = DATA.sets.flatMap((set) =>
    set.runs.filter((run) => run.status === "running").map((run) => ({ set, run })),
  );
  const arms = new Map();
  for (const { set, run } of running) {
    const name = [set.experiment, set.scale, run.arm, run.round, run.value]
      .filter((v) => v !== undefined)
      .join(" / ");
    if (!arms.has(name)) arms.set(name, { set, runs: [] });
    arms.get(name).runs.push(run);
  }
  place.hidden = !arms.size;
  keepFocus(place, () => {
    place.replaceChildren(...[...arms].map(([name, arm]) => progressOf(name, arm)));
  });
}

function progressOf(name, { set, runs }) {
  const item = element("div");
  const open = element("button", { type: "button", id: `open-${name}` }, name);
  open.addEventListener("click", () => change({ set: set.name }));
  const totals = runs.every((run) => run.total);
  const [done, total] = ["done", "total"].map(
    (key) => runs.reduce((sum, run) => sum + (run[key] ?? 0), 0) / runs.length,
  );
  const left = Math.max(...runs.map((run) => run.left ?? -1));
  const seeds = runs.length > 1 ? `${runs.length} seeds, ` : "";
  item.append(open);
  if (totals) item.append(element("progress", { "max": total, "value": done, "aria-label": name }));
  const said = totals
    ? `${exact(Math.round(done))} of ${exact(total)}`
    : `at ${exact(Math.round(done))}`;
  item.append(element("span", {}, `${seeds}${said}${left >= 0 ? `, ${duration(left)} left` : ""}`));
  return item;
}
