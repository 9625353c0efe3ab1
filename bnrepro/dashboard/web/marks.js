// What is drawn around and on the curves: axes, the paper's values, where runs diverged.

/** A new element with attributes and text. */
function element(tag, attributes = {}, text = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** Grid, ticks and the names of both axes. */
function drawAxes(context, scene) {
  const { across, up, box, choice } = scene;
  context.font = "12px system-ui, sans-serif";
  context.strokeStyle = styled("--grid");
  context.fillStyle = styled("--soft");
  context.lineWidth = 1;
  context.textAlign = "center";
  for (const tick of ticksOf(across, box.width < 500 ? 55 : 80)) {
    const x = Math.round(across.at(tick)) + 0.5;
    line(context, x, box.top, x, box.bottom);
    context.fillText(short(tick), x, box.bottom + 16);
  }
  context.textAlign = "right";
  for (const tick of ticksOf(up, 48)) {
    const y = Math.round(up.at(tick)) + 0.5;
    line(context, box.left, y, box.right, y);
    context.fillText(short(tick), box.left - 6, y + 4);
  }
  context.textAlign = "center";
  const unit = { step: "training step", wall_s: "seconds of training" }[choice.x];
  context.fillText(unit ?? words(choice.x), (box.left + box.right) / 2, box.bottom + 33);
  context.textAlign = "left";
}

/** The paper's values that belong to the metric. */
function paperValues(scene) {
  const found = DATA.experiments.find((each) => each.stem === scene.set.experiment)?.paper ?? [];
  const metric = scene.choice.metric.replace("error:", "");
  const isError = metric !== scene.choice.metric;
  return found
    .filter((each) => each.metric === metric)
    .map((each) => ({ ...each, value: isError ? 1 - each.value : each.value }));
}

/** Whether the paper's values are drawn: as asked for, else at the paper's scale. */
const paperShown = (scene) => view.paper ?? scene.set.scale === "paper";

function drawPaper(context, scene) {
  if (!paperShown(scene)) return;
  const { across, up, box } = scene;
  context.font = "italic 11px system-ui, sans-serif";
  const taken = [];
  for (const each of paperValues(scene).sort((a, b) => a.value - b.value)) {
    const y = up.at(each.value);
    if (y < box.top || y > box.bottom) continue;
    const group = scene.every.find((group) => group.value === each.arm);
    context.strokeStyle = context.fillStyle = group?.colour ?? styled("--soft");
    context.setLineDash([7, 4]);
    context.lineWidth = 1;
    line(context, box.left, y, box.right, y);
    context.setLineDash([]);
    const near = taken.filter((other) => Math.abs(other.y - y) < 14).map((other) => other.column);
    const column = [0, 1, 2, 3, 4, 5].find((free) => !near.includes(free)) ?? 0;
    taken.push({ y, column });
    context.fillText(`the paper: ${each.label}`, box.left + 6 + 180 * column, y - 4);
    if (each.steps && scene.choice.x === "step" && each.steps <= across.hi) {
      diamond(context, across.at(each.steps), y, context.fillStyle);
    }
  }
}

/** A cross at the last point of a run that diverged. */
function drawEnds(context, scene) {
  context.font = "bold 13px system-ui, sans-serif";
  context.textAlign = "center";
  for (const group of scene.groups) {
    context.fillStyle = group.colour;
    for (const curve of group.curves) {
      if (runOf(scene.set, curve)?.status !== "diverged") continue;
      const x = Math.min(scene.box.right, scene.across.at(curve.x.at(-1)));
      const y = Math.max(scene.box.top + 8, scene.up.at(curve.y.at(-1)));
      context.fillText("✕", x, Math.min(scene.box.bottom, y) + 4);
    }
  }
  context.textAlign = "left";
}

/** The values of the keys that are not drawn: "Layer hidden3, statistics moving". */
function filterText({ filter }) {
  const parts = Object.entries(filter).map(([key, value]) => `${words(key)} ${sayValue(value)}`);
  return parts.join(", ").replace(/^./, (first) => first.toUpperCase());
}

/** What the figure shows, in a sentence. */
function captionOf(scene) {
  const { choice, groups, set } = scene;
  const parts = [`${words(choice.metric)} against ${words(choice.x)}`];
  const many = Math.max(0, ...groups.map((group) => (group.mean ? group.mean.n : 0)));
  const faint = scene.seeds ? "; faint: each seed" : "";
  if (many >= BANDS) parts.push(`Lines: means over seeds, shaded: 95 % t-interval${faint}`);
  else if (many) {
    parts.push(`Lines: means over seeds (intervals are shaded from ${BANDS} seeds on)${faint}`);
  }
  const fixed = filterText(choice);
  if (fixed) parts.push(fixed);
  if (groups.some((g) => g.curves.some((c) => runOf(set, c)?.status === "diverged"))) {
    parts.push("✕: the run diverged");
  }
  if (paperShown(scene) && paperValues(scene).length) {
    parts.push("Long dashes: values that the paper prints, for its own images");
  }
  const data = set.runs.find((run) => run.data)?.data;
  return `${parts.join(". ").replace(/^./, (first) => first.toUpperCase())}.${data ? ` Data: ${data}.` : ""}`;
}
