// Steps to a target, the paper's measure of speed: the line, each arm's crossing, the ratio.

/** The arms' speeds against a reference arm, where the metric is an accuracy over training. */
function targetOf(scene) {
  const { choice, table, groups, set } = scene;
  const can =
    ACCURACIES.includes(choice.metric) &&
    table.counters.includes(choice.x) &&
    ["variant", "arm"].includes(choice.colour) &&
    scene.every.length > 1;
  if (!can) return { share: 0, canTarget: false };
  const names = scene.every.filter((group) => group.curves.length).map((group) => group.value);
  const claimed = DATA.experiments.find((each) => each.stem === set.experiment)?.against;
  const against = [view.against, claimed, names[0]].find((name) => names.includes(name));
  const asked = choice.colour === "variant" && names.includes(claimed);
  const share = view.share === "" ? Number(asked) : Number(view.share);
  const plain = scene.every.find((group) => group.value === against);
  if (!share || !plain) return { share: 0, canTarget: true, against, names };
  const targets = plain.curves.map((curve) => share * largest(curve.y));
  const target = targets.reduce((sum, value) => sum + value, 0) / targets.length;
  const speeds = groups.map((group) => {
    const curves = comparable(scene, plain, group.curves);
    const left = group.curves.length - curves.length;
    return { group, curves, left, ...speedUp(plain.curves, curves, share) };
  });
  return { share, canTarget: true, against, names, target, targets, speeds, plain };
}

/** The curves that a reference arm's are compared with: in seconds those of the same hardware. */
function comparable({ choice, set }, plain, curves) {
  if (choice.x !== "wall_s") return curves;
  const machine = (curve) => curve && runOf(set, curve)?.hardware;
  return curves.filter((curve) => machine(curve) === machine(ofSeed(plain.curves, curve.key.seed)));
}

/** That an arm's runs have not ended, so that what they have not reached they may still reach. */
function stillRuns({ set }, speed) {
  const open = speed.curves.some(
    (curve) => !["ok", "diverged", undefined].includes(runOf(set, curve)?.status),
  );
  return open && speed.censored ? " (so far)" : "";
}

/** The place of an arm's marker: the geometric mean of its seeds' crossings, so that the ratio of
    two markers is the ratio that is written there. */
function meanCrossing(speed) {
  if (!speed.pairs.length || speed.censored) return null;
  const logs = speed.pairs.map((pair) => Math.log(pair.mine));
  return Math.exp(logs.reduce((sum, value) => sum + value, 0) / logs.length);
}

/** Draw the target and the crossings. */
function drawTarget(context, scene) {
  if (!scene.share) return;
  const { across, up, box, target } = scene;
  const y = up.at(target);
  if (y < box.top || y > box.bottom) return;
  context.strokeStyle = styled("--text");
  context.lineWidth = 1;
  context.setLineDash([2, 3]);
  line(context, box.left, y, box.right, y);
  context.setLineDash([]);
  const others = scene.speeds.filter((speed) => speed.group.value !== scene.against);
  const placed = others
    .map((speed) => ({ speed, x: meanCrossing(speed) }))
    .filter(({ x }) => x !== null && x >= across.lo && x <= across.hi)
    .sort((a, b) => a.x - b.x);
  for (const speed of scene.speeds) drawSeeds(context, scene, speed);
  const plain = meanCrossing(scene.speeds.find((s) => s.group === scene.plain) ?? { pairs: [] });
  const all = scene.speeds.every((speed) => !speed.left); // else it is another ratio's
  if (plain !== null && all) diamond(context, across.at(plain), y, scene.plain.colour);
  placed.forEach(({ speed, x }, i) => label(context, scene, speed, across.at(x), y, i));
}

/** A dot where each seed reaches its own target. */
function drawSeeds(context, { across, up, seeds }, speed) {
  if (!seeds) return;
  context.fillStyle = speed.group.colour;
  for (const pair of speed.pairs) {
    if (pair.mine === null) continue;
    context.beginPath();
    context.arc(across.at(pair.mine), up.at(pair.target), 2.4, 0, 7);
    context.fill();
  }
}

/** An arm's marker with its ratio, one label below the other. */
function label(context, scene, speed, x, y, number) {
  const { box } = scene;
  const text = `${speed.group.label}: ${ratioText(speed)} ×`;
  context.font = "12px system-ui, sans-serif";
  const width = context.measureText(text).width;
  const below = y + 18 + 17 * number < box.bottom - 4;
  const height = below ? y + 18 + 17 * number : y - 14 - 17 * number;
  context.strokeStyle = context.fillStyle = speed.group.colour;
  context.lineWidth = 1;
  line(context, x, y, x, height);
  const left = Math.min(Math.max(x + 5, box.left + 4), box.right - width - 4);
  context.save();
  context.globalAlpha = 0.82;
  context.fillStyle = styled("--page");
  context.fillRect(left - 3, height - 8, width + 6, 16);
  context.restore();
  context.fillText(text, left, height + 4);
  diamond(context, x, y, speed.group.colour);
}

function diamond(context, x, y, colour) {
  context.fillStyle = colour;
  context.strokeStyle = styled("--page");
  context.lineWidth = 1.2;
  context.beginPath();
  for (const [dx, dy] of [
    [0, -6],
    [6, 0],
    [0, 6],
    [-6, 0],
  ])
    context.lineTo(x + dx, y + dy);
  context.closePath();
  context.fill();
  context.stroke();
}

/** The crossings in words, below the chart. */
function tellCrossings(scene) {
  const place = byId("crossings");
  place.replaceChildren();
  if (!scene.share || !scene.plain) return;
  const { share, plain, choice } = scene;
  const part = share === 1 ? "the best" : `${Math.round(100 * share)} % of the best`;
  const unit = words(choice.x);
  const said =
    `Target: for each seed ${part} ${words(choice.metric)} of` +
    ` “${plain.label}”. How many times as fast an arm reaches it, in ${unit} (geometric mean over` +
    " seeds, 95 % interval; ◆: geometric mean of its crossings; dots: the seeds):";
  place.append(element("p", {}, said));
  const list = element("ul");
  for (const speed of scene.speeds) {
    if (speed.group === plain) continue;
    const each = speed.pairs.map((pair) =>
      pair.mine === null ? `> ${exact(pair.last)}` : exact(pair.mine),
    );
    const thin = speed.curves.some((curve) => curve.thinned) ? " (thinned curve: ≈)" : "";
    const ratio = `${speed.group.label}: ${ratioText(speed)}${stillRuns(scene, speed)}`;
    const left = speed.left ? `; ${speed.left} on other hardware left out` : "";
    const text = `${ratio}; ${unit} of each seed: ${each.join(", ") || "–"}${thin}${left}`;
    list.append(element("li", {}, text));
  }
  place.append(list);
}
