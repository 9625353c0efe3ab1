// Moving the chart: drag, wheel, buttons, keys.

let resting = 0;

/** Show another part of the curves; the address follows once nothing has moved for a moment. */
function moveView(range) {
  view.zoom = range;
  Object.assign(now.scene, axesOf(now.scene));
  showPoint(now.scene, null);
  paint(now.scene);
  clearTimeout(resting);
  resting = setTimeout(keepAddress, 200);
}

/** The range after a shift by parts of the frame and a zoom about a pixel. */
function movedRange(scene, { dx = 0, dy = 0, factor = 1, px, py }) {
  const { across, up } = scene;
  const middle = (scale) => (scale.from + scale.to) / 2;
  const part = (scale, shift, about) =>
    [scale.from, scale.to].map((pixel) => scale.value((pixel - about) * factor + about - shift));
  return [...part(across, dx, px ?? middle(across)), ...part(up, dy, py ?? middle(up))];
}

function listenToMoves() {
  const overlay = byId("overlay");
  let from = null;
  overlay.addEventListener("pointerdown", (event) => {
    from = { x: event.offsetX, y: event.offsetY, scene: { ...now.scene }, moved: false };
    overlay.setPointerCapture(event.pointerId);
  });
  overlay.addEventListener("pointermove", (event) => {
    if (now.heat) return readCell(event.offsetX, event.offsetY);
    const [dx, dy] = from ? [event.offsetX - from.x, event.offsetY - from.y] : [0, 0];
    if (from && (from.moved || Math.hypot(dx, dy) > 4)) {
      from.moved = true;
      moveView(movedRange(from.scene, { dx, dy }));
    } else if (now.scene) {
      showPoint(now.scene, nearest(now.scene, event.offsetX, event.offsetY));
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    overlay.addEventListener(name, () => (from = null));
  }
  overlay.addEventListener("pointerleave", () => {
    if (now.scene && !from) showPoint(now.scene, null);
  });
  overlay.addEventListener("dblclick", () => change({ zoom: null }));
  overlay.addEventListener(
    "wheel",
    (event) => {
      if (!now.scene || now.heat || !event.ctrlKey) return;
      event.preventDefault();
      const factor = event.deltaY > 0 ? 1.25 : 0.8;
      moveView(movedRange(now.scene, { factor, px: event.offsetX, py: event.offsetY }));
    },
    { passive: false },
  );
  overlay.addEventListener("keydown", onKey);
  byId("closer").addEventListener("click", () => zoomBy(0.67));
  byId("wider").addEventListener("click", () => zoomBy(1.5));
  byId("whole").addEventListener("click", showWhole);
}

const zoomBy = (factor) => now.scene && moveView(movedRange(now.scene, { factor }));

/** All of the curves, their first steps too; once more: the first view again. */
function showWhole() {
  if (!now.scene) return;
  const whole = rangeOf(now.scene, true);
  change({ zoom: view.zoom && view.zoom.every((v, i) => v === whole[i]) ? null : whole });
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const arrow = arrows[event.key];
  if (now.heat) {
    if (!arrow) return;
    moveCell(...arrow);
  } else if (!now.scene) {
    return;
  } else if (arrow && event.shiftKey) {
    const { box } = now.scene;
    const dx = -0.1 * arrow[0] * (box.right - box.left);
    const dy = -0.1 * arrow[1] * (box.bottom - box.top);
    moveView(movedRange(now.scene, { dx, dy }));
  } else if (arrow) {
    movePoint(now.scene, arrow[0], arrow[1]);
  } else if (event.key === "+" || event.key === "=") zoomBy(0.67);
  else if (event.key === "-") zoomBy(1.5);
  else if (event.key === "0") showWhole();
  else if (event.key === "Home" || event.key === "End") {
    movePoint(now.scene, event.key === "Home" ? -1e9 : 1e9, 0);
  } else return;
  event.preventDefault();
}
