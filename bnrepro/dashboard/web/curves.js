// Curves on a canvas. A curve of more points than pixels is drawn by the lowest and highest value
// of each pixel column, so that no extreme is lost.

const BANDS = 5; // seeds, below which each seed says more than an interval that fills the chart

/** The pixels of the plot inside its margins. */
function boxOf(canvas) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const left = width < 500 ? 46 : 60;
  return { left, right: width - 14, top: 12, bottom: height - 40, width, height };
}

/** Make a canvas as sharp as the screen; returns its context in CSS pixels. */
function contextOf(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  return context;
}

/** First and last point to draw of a curve: those in sight and one more on each side. */
function inSight(x, lo, hi) {
  const first = Math.max(0, lowerBound(x, lo) - 1);
  return [first, Math.min(x.length, lowerBound(x, hi) + 2)];
}

/** The first place whose value is at least `value`. */
function lowerBound(values, value) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

const ROUGH = 200; // runs of points of a curve that is drawn by wide columns

/** The lowest and highest of equal runs of points: what a rough drawing of a long curve needs. */
function roughOf(curve, values) {
  if (curve.rough?.values === values) return curve.rough;
  const [x, y] = [new Float64Array(2 * ROUGH), new Float64Array(2 * ROUGH)];
  for (let k = 0; k < ROUGH; k++) {
    let low = Math.floor((k * values.length) / ROUGH);
    const end = Math.floor(((k + 1) * values.length) / ROUGH);
    let high = low;
    for (let i = low + 1; i < end; i++) {
      if (values[i] < values[low]) low = i;
      if (values[i] > values[high]) high = i;
    }
    const [first, second] = low < high ? [low, high] : [high, low];
    x[2 * k] = curve.x[first];
    y[2 * k] = values[first];
    x[2 * k + 1] = curve.x[second];
    y[2 * k + 1] = values[second];
  }
  curve.rough = { values, x, y };
  return curve.rough;
}

/** Trace a curve; `width`: pixels of a column, 1 for a drawing in full. */
function trace(context, curve, values, across, up, width) {
  const isRough = width > 1 && values.length > 4 * ROUGH;
  const { x, y } = isRough ? roughOf(curve, values) : { x: curve.x, y: values };
  traceAll(context, x, y, across, up, width);
}

function traceAll(context, x, values, across, up, width) {
  const [from, to] = inSight(x, across.lo, across.hi);
  const few = to - from <= (2 * (across.to - across.from)) / width;
  let column = NaN;
  let [low, high, lowX, highX] = [0, 0, 0, 0];
  context.beginPath();
  const flush = () => {
    if (lowX <= highX) context.lineTo(lowX, up.at(low));
    context.lineTo(highX, up.at(high));
    if (lowX > highX) context.lineTo(lowX, up.at(low));
  };
  for (let i = from; i < to; i++) {
    const value = values[i];
    if ((across.log && x[i] <= 0) || (up.log && value <= 0)) continue;
    const place = across.at(x[i]);
    if (few) {
      context.lineTo(place, up.at(value));
      continue;
    }
    const here = Math.floor(place / width);
    if (here !== column) {
      if (!Number.isNaN(column)) flush();
      column = here;
      low = high = value;
      lowX = highX = place;
    } else if (value < low) {
      low = value;
      lowX = place;
    } else if (value > high) {
      high = value;
      highX = place;
    }
  }
  if (!few && !Number.isNaN(column)) flush();
}

/** Fill the area between the bounds of a curve, by pixel columns; on a logarithmic axis where both
    are above 0. */
function fillBetween(context, { x, low, high }, across, up) {
  const [from, to] = inSight(x, across.lo, across.hi);
  let points = [];
  for (let i = from; i < to; i++) {
    if ((across.log && x[i] <= 0) || (up.log && low[i] <= 0)) {
      fillArea(context, points, up);
      points = [];
      continue;
    }
    const place = Math.round(across.at(x[i]) * 2) / 2;
    const last = points.at(-1);
    if (last && last[0] === place) {
      last[1] = Math.min(last[1], low[i]);
      last[2] = Math.max(last[2], high[i]);
    } else points.push([place, low[i], high[i]]);
  }
  fillArea(context, points, up);
}

/** Fill between the lows and highs of points [x, low, high]. */
function fillArea(context, points, up) {
  context.beginPath();
  for (const [place, , top] of points) context.lineTo(place, up.at(top));
  for (const [place, bottom] of points.reverse()) context.lineTo(place, up.at(bottom));
  context.fill();
}

/** Draw the scene's groups: bands, each curve, means. `width`: pixels of a column. */
function drawCurves(context, scene, width) {
  const { box } = scene;
  context.save();
  context.beginPath();
  context.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  context.clip();
  context.lineJoin = "bevel";
  if (width === 1) for (const group of scene.groups) drawBands(context, scene, group);
  for (const group of scene.groups) drawEach(context, scene, group, width);
  for (const group of scene.groups) drawMean(context, scene, group, width);
  context.restore();
}

/** Whether lines are dashed: dashes of very many lines tell nothing and take long. */
const isDashed = (scene) => scene.count <= 60;

function drawBands(context, scene, group) {
  context.fillStyle = group.colour;
  context.globalAlpha = 0.16;
  const { across, up } = scene;
  const bands = group.curves.filter((curve) => curve.low);
  if (group.mean?.n >= BANDS) bands.push(group.mean);
  for (const band of bands) fillBetween(context, band, across, up);
  context.globalAlpha = 1;
}

function drawEach(context, scene, group, width) {
  if (!scene.seeds && group.mean) return;
  const { across, up, smooth } = scene;
  context.strokeStyle = group.colour;
  const faint = group.mean || smooth;
  for (const curve of group.curves) {
    context.setLineDash(faint || !isDashed(scene) ? [] : group.dash.map((n) => n * 1.4));
    context.globalAlpha = faint ? 0.3 : 0.95;
    context.lineWidth = faint || scene.count > 40 ? 0.9 : 1.5;
    trace(context, curve, curve.y, across, up, width);
    context.stroke();
    if (!smooth || group.mean) continue;
    context.globalAlpha = 1;
    context.lineWidth = 1.6;
    trace(context, curve.base, smoothOf(curve, smooth), across, up, width);
    context.stroke();
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

/** A curve's smooth values, made once for a weight. */
function smoothOf(curve, weight) {
  if (curve.smooth?.weight !== weight) {
    curve.smooth = { weight, values: smoothed((curve.base ?? curve).y, weight) };
  }
  return curve.smooth.values;
}

function drawMean(context, scene, group, width) {
  const { mean } = group;
  if (!mean) return;
  const { across, up, smooth } = scene;
  context.strokeStyle = group.colour;
  context.setLineDash(isDashed(scene) ? group.dash.map((n) => n * 1.6) : []);
  context.lineWidth = smooth ? 0.9 : 2;
  trace(context, mean, mean.y, across, up, width);
  context.stroke();
  if (smooth) {
    context.lineWidth = 2.2;
    trace(context, mean, smoothOf(mean, smooth), across, up, width);
    context.stroke();
  }
  context.setLineDash([]);
}
