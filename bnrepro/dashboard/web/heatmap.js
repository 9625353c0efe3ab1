// A sweep over two axes as a heat map: the mean over seeds in each cell, its value written there.

let cell = null; // the one that is read: {i, j}

/** The means of a table's rows over a grid of two of its keys. */
function heatOf(set, table, choice) {
  const found = new Map(); // of an x, of a y: the values
  for (const chunk of table.chunks) {
    if (!passes(chunk.key, choice.filter)) continue;
    const keys = [choice.x, choice.down, ...choice.filtered];
    const columns = keys.map((key) => (key in chunk.key ? null : columnOf(set, chunk, key)));
    const values = columnOf(set, chunk, columnsOf(choice.metric).at(-1));
    for (let row = 0; row < chunk.n + (chunk.extra?.length ?? 0); row++) {
      const key = Object.fromEntries(
        keys.map((name, i) => [name, columns[i] ? plainValue(columns[i][row]) : chunk.key[name]]),
      );
      if (!passes(key, choice.filter) || !Number.isFinite(values[row])) continue;
      const column = found.get(key[choice.x]) ?? new Map();
      found.set(key[choice.x], column);
      const each = column.get(key[choice.down]) ?? [];
      column.set(key[choice.down], each);
      each.push(choice.metric.startsWith("error:") ? 1 - values[row] : values[row]);
    }
  }
  return { ...cellsOf(set, table, choice, found), choice };
}

/** The cells that have values, by their places among the axes' values. */
function cellsOf(set, table, choice, found) {
  const xs = valuesOf(set, table, choice.x).filter((x) => found.has(x));
  const ys = valuesOf(set, table, choice.down).filter((y) => xs.some((x) => found.get(x).has(y)));
  const cells = [];
  xs.forEach((x, i) =>
    ys.forEach((y, j) => {
      const each = found.get(x).get(y);
      if (!each) return;
      const value = each.reduce((sum, one) => sum + one, 0) / each.length;
      cells.push({ i, j, n: each.length, value, each });
    }),
  );
  return { xs, ys, cells };
}

/** The place of a value on the colours: by its logarithm where values span decades. */
function placeOf(heat) {
  const values = heat.cells.map((each) => each.value);
  const [low, high] = [Math.min(...values), largest(values)];
  const log = view.logy && low > 0;
  const u = log ? Math.log : (value) => value;
  const of = (value) => (high > low ? (u(value) - u(low)) / (u(high) - u(low)) : 0.5);
  return { low, high, of };
}

function drawHeat(heat) {
  const canvas = byId("plot");
  const context = contextOf(canvas);
  const box = { ...boxOf(canvas) };
  box.left += 40;
  box.right -= 70;
  const { xs, ys, cells, choice } = heat;
  const [width, height] = [(box.right - box.left) / xs.length, (box.bottom - box.top) / ys.length];
  const places = placeOf(heat);
  Object.assign(heat, { box, width, height });
  for (const each of cells) {
    const [x, y] = cornerOf(heat, each);
    const place = places.of(each.value);
    context.fillStyle = ramp(place);
    context.fillRect(x, y, width - 1, height - 1);
    if (width < 34 || height < 16) continue;
    context.fillStyle = place > 0.5 ? "#000" : "#fff";
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "center";
    const text = String(Number(each.value.toPrecision(width > 70 ? 4 : 3)));
    context.fillText(text, x + width / 2, y + height / 2 + 4);
  }
  drawHeatAxes(context, heat);
  drawRamp(context, heat, places);
  byId("caption").textContent =
    `Colour and number: ${words(choice.metric)}, the mean over seeds.` + ` ${filterText(choice)}`;
}

const cornerOf = ({ box, width, height, ys }, { i, j }) => [
  box.left + i * width,
  box.top + (ys.length - 1 - j) * height,
];

function drawHeatAxes(context, { xs, ys, choice, box, width, height }) {
  context.fillStyle = styled("--soft");
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  const every = Math.ceil(44 / width);
  xs.forEach(
    (value, i) =>
      i % every || context.fillText(short(value), box.left + (i + 0.5) * width, box.bottom + 15),
  );
  context.fillText(words(choice.x), (box.left + box.right) / 2, box.bottom + 33);
  context.textAlign = "right";
  ys.forEach((value, j) => {
    const y = box.top + (ys.length - 0.5 - j) * height + 4;
    context.fillText(short(value).slice(0, 14), box.left - 6, y);
  });
  context.save();
  context.translate(12, (box.top + box.bottom) / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText(words(choice.down), 0, 0);
  context.restore();
}

function drawRamp(context, { box }, { low, high }) {
  const tall = box.bottom - box.top;
  for (let i = 0; i < tall; i++) {
    context.fillStyle = ramp(1 - i / tall);
    context.fillRect(box.right + 12, box.top + i, 14, 1.5);
  }
  context.fillStyle = styled("--soft");
  context.textAlign = "left";
  context.fillText(Number(high?.toPrecision(3)), box.right + 30, box.top + 8);
  context.fillText(Number(low?.toPrecision(3)), box.right + 30, box.bottom);
}

/** Show the values of a cell. */
function showCell(found, aloud) {
  const { heat } = now;
  const context = contextOf(byId("overlay"));
  const tip = byId("tip");
  cell = found;
  tip.hidden = !found;
  if (!found) return;
  const [x, y] = cornerOf(heat, found);
  context.strokeStyle = styled("--text");
  context.lineWidth = 2;
  context.strokeRect(x, y, heat.width - 1, heat.height - 1);
  const { choice } = heat;
  const lines = [
    `${words(choice.x)} ${exact(heat.xs[found.i])}, ${words(choice.down)} ${exact(heat.ys[found.j])}`,
    `${words(choice.metric)} ${exact(found.value)}`,
    found.n > 1 ? `mean of ${found.n}: ${found.each.slice(0, 8).map(exact).join(", ")}` : "",
  ].filter(Boolean);
  tip.replaceChildren(...lines.map((text) => element("div", {}, text)));
  tip.style.left = `${Math.min(x + 10, heat.box.right - tip.offsetWidth)}px`;
  tip.style.top = `${Math.max(4, y - tip.offsetHeight - 4)}px`;
  if (aloud) byId("reading").textContent = lines.join("; ");
}

function readCell(px, py) {
  const { box, width, height, ys, cells } = now.heat;
  const i = Math.floor((px - box.left) / width);
  const j = ys.length - 1 - Math.floor((py - box.top) / height);
  showCell(cells.find((each) => each.i === i && each.j === j) ?? null);
}

function moveCell(right, down) {
  const { cells } = now.heat;
  const next = cell ? { i: cell.i + right, j: cell.j - down } : cells[0];
  showCell(cells.find((each) => each.i === next.i && each.j === next.j) ?? cell, true);
}
