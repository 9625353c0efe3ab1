// From the view to the picture.

const now = { set: null, scene: null, heat: null }; // what is drawn

/** Draw a scene at once, by wider columns where there are many curves; in full after a moment. */
function paint(scene) {
  clearTimeout(paint.later);
  const width = Math.min(16, Math.floor(scene.count / FAST));
  paintBy(scene, Math.max(1, width));
  if (width > 1) paint.later = setTimeout(() => paintBy(scene, 1), 200);
}

const FAST = 20; // curves that are drawn in full within a frame or two

function paintBy(scene, width) {
  const context = contextOf(byId("plot"));
  drawAxes(context, scene);
  drawCurves(context, scene, width);
  drawEnds(context, scene);
  drawPaper(context, scene);
  drawTarget(context, scene);
}

/** Show the view, or what to do where nothing was recorded. */
async function show() {
  const set = setNamed(view.set) ?? now.set ?? firstSet(DATA.sets);
  now.set = set; // stays, though another experiment may have the next row
  showTheme();
  showProgress();
  if (set) await loadBytes(set);
  if (set !== now.set) return; // meanwhile another one was chosen
  if (set) showSet(set);
  else sayEmpty("Nothing was recorded yet. `make mnist` trains the networks of Figure 1.");
  for (const id of ["controls", "tools"]) byId(id).hidden ||= !set;
  performance.mark("shown");
}

/** Show a set: controls, chart, arms, runs. */
function showSet(set) {
  const table = tableOf(set, view.table);
  const choice = table ? choiceOf(set, table) : null;
  Object.assign(now, { scene: null, heat: null });
  if (!table) sayEmpty(set.problem || "No row was recorded here yet.");
  else if (choice.mode === "heat map") showHeat(set, table, choice);
  else showCurves(set, table, choice);
  showControls(set, table, choice, now.scene);
  showArms(now.scene);
  showRuns(set);
}

function showCurves(set, table, choice) {
  const scene = sceneOf(set, table, choice, boxOf(byId("plot")));
  now.scene = scene;
  sayEmpty(scene.count ? "" : "No curve is chosen, or none has this metric.");
  showPoint(scene, sameReading(scene));
  paint(scene);
  byId("caption").textContent = captionOf(scene);
  tellCrossings(scene);
  const arms = scene.groups.map((group) => group.label).join(", ");
  byId("overlay").setAttribute(
    "aria-label",
    `Chart: ${words(choice.metric)} against ${words(choice.x)}; ${scene.count} curves of ${arms}`,
  );
}

function showHeat(set, table, choice) {
  now.heat = heatOf(set, table, choice);
  sayEmpty(now.heat.cells.length ? "" : "No row has these values.");
  contextOf(byId("overlay"));
  byId("tip").hidden = true;
  byId("crossings").replaceChildren();
  drawHeat(now.heat);
  byId("overlay").setAttribute(
    "aria-label",
    `Heat map: ${words(choice.metric)} over ${words(choice.x)} and ${words(choice.down)}`,
  );
}

function sayEmpty(text) {
  byId("empty").textContent = text;
  byId("empty").hidden = !text;
  if (!text) return;
  for (const id of ["plot", "overlay"]) contextOf(byId(id));
  for (const id of ["caption", "reading"]) byId(id).textContent = "";
  byId("crossings").replaceChildren();
}

function sayAlert(text) {
  byId("alert").textContent = text;
  byId("alert").hidden = !text;
}

const bright = window.matchMedia("(prefers-color-scheme: dark)");

function showTheme() {
  const auto = bright.matches ? "dark" : "light";
  const theme = ["light", "dark"].includes(view.theme) ? view.theme : auto;
  document.documentElement.dataset.theme = theme;
}

const sayFailure = (what) => sayAlert(`A part of this page failed: ${what}`);
window.addEventListener("error", (event) => sayFailure(event.message));
window.addEventListener("unhandledrejection", (event) => sayFailure(event.reason));
window.addEventListener("hashchange", () => {
  fromFragment();
  show();
});
bright.addEventListener("change", () => show());
new ResizeObserver(() => (now.scene || now.heat ? show() : null)).observe(byId("frame"));
byId("foot").textContent =
  `Made ${moment(DATA.made)} by make dashboard from results/. ` +
  "Every number under the cursor is one that was recorded.";
fromFragment();
listenToControls();
listenToMoves();
listenToServer();
show();
