// The arms, which are the legend: a box to show or hide each, its line, its last value.

function showArms(scene) {
  const place = byId("arms");
  place.hidden = !scene;
  if (!scene) return;
  const { choice, every } = scene;
  const heading = choice.colour && choice.colour !== "variant" ? words(choice.colour) : "arms";
  const buttons = element("div", { class: "buttons" });
  const values = every.map((group) => group.value);
  buttons.append(
    button("all", () => change({ arms: values.map(String) })),
    button("none", () => change({ arms: [] })),
  );
  if (values.length > NEWEST && choice.colour === "variant") {
    const chosen = newest(scene.set, choice, values);
    buttons.append(button("newest", () => change({ arms: [...chosen].map(String) })));
  }
  const items = every.map((group) => armItem(scene, group));
  keepFocus(place, () => {
    place.replaceChildren(element("h2", {}, heading));
    if (values.length > 1) place.append(buttons);
    const list = element("ul");
    list.append(...items);
    place.append(list);
  });
}

function button(text, act) {
  const made = element("button", { type: "button", id: `arms-${text}` }, text);
  made.addEventListener("click", act);
  return made;
}

function armItem(scene, group) {
  const item = element("li");
  const label = element("label", { class: "tick" });
  const box = element("input", { type: "checkbox", id: `arm-${group.value}` });
  box.checked = group.shown;
  box.addEventListener("change", () => toggle(scene, group.value, box.checked));
  label.append(box, sample(group), element("span", {}, group.label));
  item.append(label);
  const { curves } = group;
  const last = curves.map((curve) => curve.y.at(-1));
  const mean = last.reduce((sum, value) => sum + value, 0) / last.length;
  const said =
    curves.length === 0
      ? "no row of this metric"
      : curves.length === 1
        ? `last ${exact(last[0])}`
        : `${curves.length} curves, last ${exact(Number(mean.toPrecision(5)))} on average`;
  item.append(element("small", {}, [said, ...troubles(scene.set, group)].join("; ")));
  return item;
}

/** What is to be said of an arm's runs besides that they ended well: "1 diverged". */
function troubles(set, group) {
  const runs = set.runs.filter((run) => run.arm === group.value);
  const counts = new Map();
  for (const { status } of runs) {
    if (status !== "ok") counts.set(status, (counts.get(status) ?? 0) + 1);
  }
  return [...counts].map(([status, count]) => (runs.length > 1 ? `${count} ${status}` : status));
}

/** A piece of the arm's line. */
function sample(group) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const values = {
    "x1": 0,
    "x2": 30,
    "y1": 6,
    "y2": 6,
    "stroke": group.colour,
    "stroke-width": 2.4,
    "stroke-dasharray": group.dash.map((n) => 1.6 * n).join(" "),
  };
  for (const [name, value] of Object.entries(values)) stroke.setAttribute(name, value);
  svg.setAttribute("class", "sample");
  svg.append(stroke);
  return svg;
}

function toggle(scene, value, on) {
  const shown = scene.every.filter((group) => group.shown).map((group) => String(group.value));
  change({ arms: on ? [...shown, String(value)] : shown.filter((name) => name !== String(value)) });
}

/** Rebuild a part of the page without losing the focus of an element with an id. */
function keepFocus(place, rebuild) {
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  rebuild();
  if (focused) byId(focused)?.focus();
}
