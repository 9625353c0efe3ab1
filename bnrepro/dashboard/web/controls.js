// The controls say what the view is, and change it.

/** Fill a select with [value, text] pairs, unless it has them already. */
function fillSelect(id, pairs, value) {
  const select = byId(id);
  const text = JSON.stringify(pairs);
  if (select.dataset.pairs !== text) {
    select.replaceChildren(
      ...pairs.map(([each, said]) => element("option", { value: each }, said)),
    );
    select.dataset.pairs = text;
  }
  select.value = value;
}

const named = (names) => names.map((name) => [name, words(name)]);
const SOURCES = { committed: "committed evidence", runs: "runs here" };

/** Bring all controls into line with the view. */
function showControls(set, table, choice, scene) {
  const present = new Set(DATA.sets.map((each) => each.experiment));
  const known = DATA.experiments
    .filter((each) => present.has(each.stem))
    .map((each) => [each.stem, `${each.section}  ${each.stem.replaceAll("_", " ")}`]);
  const unknown = [...present].filter((name) => !DATA.experiments.some((e) => e.stem === name));
  fillSelect("experiment", [...known, ...unknown.map((name) => [name, name])], set.experiment);
  const scales = DATA.sets
    .filter((each) => each.experiment === set.experiment)
    .map((each) => [each.name, `${each.scale}, ${SOURCES[each.source]}`]);
  fillSelect("set", scales, set.name);
  byId("theme").value = view.theme;
  byId("question").textContent =
    DATA.experiments.find((each) => each.stem === set.experiment)?.question ?? "";
  byId("controls").hidden = !table;
  byId("table-label").hidden = set.tables.length < 2;
  if (!table) return;
  fillSelect("table", named(set.tables.map((each) => each.name)), table.name);
  fillSelect("metric", named(metricsOf(table)), choice.metric);
  showChoice(set, table, choice);
  showTarget(scene);
}

function showChoice(set, table, choice) {
  const heat = choice.mode === "heat map";
  byId("mode").value = choice.mode;
  byId("mode").parentElement.hidden = !choice.canMap;
  fillSelect("x", named(choice.xs), choice.x);
  byId("down-label").hidden = !heat;
  if (heat) fillSelect("down", named(choice.downs), choice.down);
  byId("colour-label").hidden = heat || choice.keys.length < 2;
  fillSelect("colour", named(choice.keys), choice.colour);
  for (const id of ["smooth-label", "seeds-label", "mean-label"]) byId(id).hidden = heat;
  byId("logx").parentElement.hidden = byId("tools").hidden = heat;
  byId("logy-said").textContent = heat ? "log colours" : "log y";
  for (const id of ["logx", "logy", "seeds", "mean"]) byId(id).checked = view[id];
  byId("smooth").value = view.smooth;
  byId("smooth-value").textContent = view.smooth ? view.smooth.toFixed(2) : "off";
  showFilters(set, table, choice);
}

/** A select for each key that is not drawn. */
function showFilters(set, table, choice) {
  const place = byId("filters");
  const keys = choice.filtered.join();
  if (place.dataset.keys !== keys) {
    place.dataset.keys = keys;
    place.replaceChildren(
      ...choice.filtered.map((key) => {
        const label = element("label", {}, `${words(key)} `);
        const select = element("select", { id: `filter-${key}` });
        select.addEventListener("change", () =>
          change({ filter: { ...view.filter, [key]: select.value } }),
        );
        label.append(select);
        return label;
      }),
    );
  }
  for (const key of choice.filtered) {
    const values = valuesOf(set, table, key).map((value) => [String(value), sayValue(value)]);
    fillSelect(`filter-${key}`, [...values, ["all", "all"]], choice.filter[key]);
  }
}

const sayValue = (value) =>
  typeof value === "string" && DATA.looks[value]
    ? DATA.looks[value].label
    : exact(value === null ? "none" : value);

function showTarget(scene) {
  byId("paper-label").hidden = !scene || !paperValues(scene).length;
  byId("target-label").hidden = !scene?.canTarget;
  if (scene) byId("paper").checked = paperShown(scene);
  if (!scene?.canTarget) return;
  byId("share").value = String(scene.share);
  const arms = scene.names.map((name) => [name, sayValue(name)]);
  fillSelect("against", arms, scene.against);
}

/** What each control changes. */
function listenToControls() {
  byId("experiment").addEventListener("change", (event) => {
    const sets = DATA.sets.filter((set) => set.experiment === event.target.value);
    change({ set: firstSet(sets).name });
  });
  const selects = "set table metric x down colour mode share against theme";
  for (const id of selects.split(" ")) {
    byId(id).addEventListener("change", (event) => change({ [id]: event.target.value }));
  }
  for (const id of ["logx", "logy", "seeds", "mean", "paper"]) {
    byId(id).addEventListener("change", (event) => change({ [id]: event.target.checked }));
  }
  byId("smooth").addEventListener("input", (event) =>
    change({ smooth: Number(event.target.value) }),
  );
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
}

/** The set shown first: the runs that changed last, else committed evidence of the paper's scale. */
function firstSet(sets) {
  const time = (set) => Math.max(0, ...set.runs.map((run) => run.updated ?? 0));
  const rank = (set) => ["paper", "gpu", "small"].indexOf(set.scale);
  const drawn = sets.filter((set) => set.tables.length);
  return [...(drawn.length ? drawn : sets)].sort(
    (a, b) => time(b) - time(a) || (rank(a) < 0 ? 9 : rank(a)) - (rank(b) < 0 ? 9 : rank(b)),
  )[0];
}
