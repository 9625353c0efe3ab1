// The numbers under the cursor: those of a point that was recorded, by mouse, touch or keyboard.

let reading = null; // {group, curve, index}: the point that is read

/** The curves that can be read: each seed, or the means where those alone are drawn. */
function readable(scene) {
  return scene.groups.flatMap((group) =>
    scene.seeds || !group.mean
      ? group.curves.map((curve) => ({ group, curve }))
      : [{ group, curve: group.mean }],
  );
}

/** The recorded point nearest to a pixel, within reach. */
function nearest(scene, px, py, reach = 60) {
  const x = scene.across.value(px);
  let best = null;
  let least = reach ** 2;
  for (const { group, curve } of readable(scene)) {
    const middle = lowerBound(curve.x, x);
    for (let i = Math.max(0, middle - 3); i < Math.min(curve.x.length, middle + 3); i++) {
      const dx = scene.across.at(curve.x[i]) - px;
      const dy = scene.up.at(curve.y[i]) - py;
      const distance = dx * dx + dy * dy;
      if (distance < least) [best, least] = [{ group, curve, index: i }, distance];
    }
  }
  return best;
}

/** Lines that say what a point is; the other arms' means at its step. */
function tell(scene, { group, curve, index }) {
  const { choice, table } = scene;
  const who = curve.n ? `mean of ${curve.n}` : curve.name;
  const lines = [[group.label + (who ? `, ${who}` : ""), group.colour]];
  lines.push([`${words(choice.x)} ${exact(curve.x[index])}`]);
  if (table.counters.length && choice.x !== "step")
    lines.push([`step ${exact(curve.step[index])}`]);
  lines.push([`${words(choice.metric)} ${exact(curve.y[index])}`]);
  if (curve.low && curve.n !== 2) {
    const name = curve.n ? "95 % interval" : "15th, 85th percentile";
    lines.push([`${name} ${exact(curve.low[index])}, ${exact(curve.high[index])}`]);
  }
  for (const other of scene.groups) {
    const mean = other.mean;
    if (!mean || mean === curve) continue;
    const at = lowerBound(mean.step, curve.step[index]);
    if (mean.step[at] !== curve.step[index]) continue;
    lines.push([`mean of ${other.label} ${exact(mean.y[at])}`, other.colour]);
    if (lines.length > 11) break;
  }
  return lines;
}

/** Show a point: a ring on the chart, its numbers beside it and, for readers of the screen, below. */
function showPoint(scene, point, aloud) {
  reading = point;
  const context = contextOf(byId("overlay"));
  const tip = byId("tip");
  tip.hidden = !point;
  if (!point) return;
  const x = scene.across.at(point.curve.x[point.index]);
  const y = scene.up.at(point.curve.y[point.index]);
  context.strokeStyle = styled("--text");
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, 5, 0, 7);
  context.stroke();
  const lines = tell(scene, point);
  tip.replaceChildren(
    ...lines.map(([text, colour]) => {
      const row = element("div", {}, text);
      if (colour) row.style.setProperty("--arm", colour);
      if (colour) row.classList.add("arm");
      return row;
    }),
  );
  const { box } = scene;
  tip.style.left = `${x > (box.left + box.right) / 2 ? Math.max(4, x - tip.offsetWidth - 14) : x + 14}px`;
  tip.style.top = `${Math.min(Math.max(4, y - 20), Math.max(4, box.bottom - tip.offsetHeight))}px`;
  if (aloud) byId("reading").textContent = lines.map(([text]) => text).join("; ");
}

/** The point that was read, among the curves of a new scene: rows may have come meanwhile. */
function sameReading(scene) {
  const { metric, x } = scene.choice;
  const axes = `${scene.set.name} ${metric} ${x}`;
  const before = sameReading.axes === axes ? reading : null;
  sameReading.axes = axes;
  if (!before || byId("tip").hidden) return null;
  const same = readable(scene).find(
    ({ group, curve }) =>
      group.value === before.group.value && curve.name === before.curve.name && curve.x.length,
  );
  if (!same) return null;
  const index = lowerBound(same.curve.x, before.curve.x[before.index]);
  return { ...same, index: Math.min(index, same.curve.x.length - 1) };
}

/** Move the reading by keys: along its curve, or to the next curve. */
function movePoint(scene, along, across) {
  const all = readable(scene).filter(({ curve }) => curve.x.length);
  if (!all.length) return;
  let at = all.findIndex(({ curve }) => curve === reading?.curve);
  if (at < 0) {
    showPoint(scene, { ...all[0], index: all[0].curve.x.length - 1 }, true);
    return;
  }
  const x = reading.curve.x[reading.index];
  let { index } = reading;
  if (across) {
    at = (at + across + all.length) % all.length;
    index = Math.min(all[at].curve.x.length - 1, lowerBound(all[at].curve.x, x));
  }
  index = Math.min(Math.max(0, index + along), all[at].curve.x.length - 1);
  showPoint(scene, { ...all[at], index }, true);
}
