// Axes, and numbers as text.

/** An axis from lo to hi, drawn from pixel `from` to pixel `to`. */
function axis(lo, hi, from, to, log) {
  const u = log ? Math.log10 : (value) => value;
  const slope = (to - from) / (u(hi) - u(lo));
  const start = from - slope * u(lo);
  const at = log ? (v) => start + slope * Math.log10(v) : (v) => start + slope * v;
  const value = (pixel) => (log ? 10 ** ((pixel - start) / slope) : (pixel - start) / slope);
  return { lo, hi, log, from, to, at, value };
}

/** The values of ticks: about one in `every` pixels. */
function ticksOf(scale, every) {
  const most = Math.max(2, Math.floor(Math.abs(scale.to - scale.from) / every));
  if (scale.log && scale.hi / scale.lo >= 10) return logTicks(scale, most);
  const rough = (scale.hi - scale.lo) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= rough * 0.999);
  const first = Math.ceil(scale.lo / step - 1e-9);
  const last = Math.floor(scale.hi / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => clean((first + i) * step));
}

function logTicks(scale, most) {
  const [first, last] = [Math.floor(Math.log10(scale.lo)), Math.ceil(Math.log10(scale.hi))];
  const parts = scale.hi / scale.lo <= 300 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let power = first; power <= last; power++) {
    for (const part of parts) ticks.push(clean(part * 10 ** power));
  }
  const inside = ticks.filter((t) => t >= scale.lo * 0.999 && t <= scale.hi * 1.001);
  const thin = Math.ceil(inside.length / most);
  return inside.filter((_, i) => i % thin === 0);
}

const clean = (value) => Number(value.toPrecision(12));

/** A number as it was recorded: up to seven digits. */
function exact(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en-US");
  return String(Number(value.toPrecision(7))).replace("e-", "e−");
}

/** A number on an axis: 10K and 2M, the paper's way of writing steps. */
function short(value) {
  if (typeof value !== "number") return value === null ? "none" : String(value);
  const size = Math.abs(value);
  if (size >= 1e6 && size < 1e12) return `${clean(value / 1e6)}M`;
  if (size >= 1e4 || (size >= 1000 && value % 500 === 0)) return `${clean(value / 1000)}K`;
  if (size && (size < 1e-3 || size >= 1e12)) return value.toExponential().replace("e-", "e−");
  return String(clean(value));
}

const NAMES = {
  "test_accuracy": "test accuracy",
  "test_loss": "test loss",
  "train_loss": "training loss",
  "wall_s": "seconds",
  "epoch": "epochs",
  "examples": "examples",
  "step": "steps",
  "variant": "arm",
  "learning_rate": "learning rate",
  "error:test_accuracy": "test error (1 − accuracy)",
  "error:accuracy": "error (1 − accuracy)",
  "band:units": "inputs: 15th, 50th, 85th percentile",
  "curves": "training curves",
  "units": "inputs of units",
  "rank": "unit's rank by drift",
  "lr": "learning rate",
  "init_std": "initial standard deviation",
};
const STARTS = [
  ["band:", "inputs, 15th, 50th, 85th percentile: "],
  ["grad_norm_", "gradient norm: "],
  ["saturated_", "share of saturated inputs: "],
  ["median_", "median input: "],
  ["spread_", "p85 − p15 of inputs: "],
  ["p15_", "15th percentile of inputs: "],
  ["p85_", "85th percentile of inputs: "],
];

/** A column's name in words. */
function words(name) {
  if (name in NAMES) return NAMES[name];
  for (const [start, said] of STARTS) {
    if (name.startsWith(start)) return said + name.slice(start.length).replace("_", ", ");
  }
  return name.replaceAll("_", " ");
}

/** Seconds as a person says them. */
function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
