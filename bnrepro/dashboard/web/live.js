// A served page is sent every new row; a page opened from a file asks for nothing.

function listenToServer() {
  if (DATA.live === null) return;
  const events = new EventSource(`events?after=${DATA.live}`);
  events.onmessage = (message) => {
    take(JSON.parse(message.data));
    later();
  };
  events.addEventListener("reload", () => location.reload());
  events.onopen = () => sayAlert("");
  events.onerror = () => sayAlert("The server does not answer; what is shown is what was known.");
}

/** Show what came once, however many rows came. */
function later() {
  later.timer ??= setTimeout(() => {
    later.timer = null;
    show();
  }, 100);
}

/** Take one event: {experiment, scale, run, settings, key, tables: [{name, keys, …, rows}]}. */
function take(event) {
  const set = setFor(event);
  const name = runName(event.run.arm, event.run);
  const place = set.runs.findIndex((run) => runName(run.arm, run) === name);
  if (place < 0) set.runs.push(event.run);
  else set.runs[place] = event.run;
  delete set.index;
  if (event.settings) set.settings[event.run.arm] = event.settings;
  if (event.anew) dropChunks(set, event.key);
  for (const each of event.tables) addRows(set, event.key, each);
}

function setFor({ experiment, scale }) {
  const name = `${experiment}/${scale}/runs`;
  const known = setNamed(name);
  if (known) return known;
  const empty = { problem: "", runs: [], settings: {}, tables: [] };
  const made = { name, experiment, scale, source: "runs", ...empty };
  DATA.sets.push(made);
  return made;
}

const sameKey = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** A run that began anew has the rows that follow, and no others. */
function dropChunks(set, key) {
  for (const table of set.tables) {
    table.chunks = table.chunks.filter((chunk) => !sameKey(chunk.key, key));
    for (const kept of ["cached", "known", "counts"]) delete table[kept];
  }
}

function addRows(set, key, { rows, ...about }) {
  let table = set.tables.find((each) => each.name === about.name);
  if (!table) set.tables.push((table = { ...about, chunks: [] }));
  Object.assign(table, about);
  let chunk = table.chunks.find((each) => sameKey(each.key, key));
  if (!chunk) table.chunks.push((chunk = { key, n: 0, columns: {} }));
  chunk.extra = [...(chunk.extra ?? []), ...rows];
  delete table.counts;
}
