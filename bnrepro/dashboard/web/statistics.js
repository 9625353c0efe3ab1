// Means, intervals, smooth curves and steps to a target, as bnrepro/evidence computes them.

/** Mean and 95 % t-interval; bounds are null for one value. */
function interval(values) {
  const n = values.length;
  const mean = values.reduce((sum, v) => sum + v, 0) / n;
  if (n < 2) return { mean, low: null, high: null };
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  const half = (DATA.quantiles[n - 1] ?? 1.96) * Math.sqrt(squares / (n - 1) / n);
  return { mean, low: mean - half, high: mean + half };
}

/** The mean of curves at the steps that all of them have, with its interval. */
function meanCurve(curves, bounds) {
  const bases = atCommonSteps(curves.map((curve) => curve.base));
  const [n, count] = [bases.length, bases[0].y.length];
  const [{ x, step }, ys] = [bases[0], bases.map((base) => base.y)];
  const mean = { n, step, x: bases.every((base) => base.x === x) ? x : meanOfRows(bases, count) };
  for (const name of ["y", "low", "high"]) mean[name] = new Float64Array(count);
  const factor = n > 1 ? (DATA.quantiles[n - 1] ?? 1.96) / Math.sqrt(n * (n - 1)) : 0;
  for (const values of ys) for (let i = 0; i < count; i++) mean.y[i] += values[i] / n;
  const squares = new Float64Array(count);
  for (const values of ys) {
    for (let i = 0; i < count; i++) squares[i] += (values[i] - mean.y[i]) ** 2;
  }
  for (let i = 0; i < count; i++) {
    const half = factor * Math.sqrt(squares[i]);
    mean.low[i] = Math.max(mean.y[i] - half, bounds[0]);
    mean.high[i] = Math.min(mean.y[i] + half, bounds[1]);
  }
  return mean;
}

/** The mean of the curves' x row by row: seconds differ from seed to seed. */
function meanOfRows(bases, count) {
  const mean = new Float64Array(count);
  for (const { x } of bases) for (let i = 0; i < count; i++) mean[i] += x[i] / bases.length;
  return mean;
}

/** The curves at the steps that all of them have. */
function atCommonSteps(bases) {
  const [first] = bases;
  const same = (base) =>
    base.step === first.step ||
    (base.step.length === first.step.length &&
      base.step.every((step, i) => step === first.step[i]));
  if (bases.every(same)) return bases;
  const places = bases.map((base) => new Map(Array.from(base.step, (step, i) => [step, i])));
  const common = Array.from(first.step).filter((step) => places.every((known) => known.has(step)));
  return bases.map((base, k) => {
    const rows = common.map((step) => places[k].get(step));
    const at = (values) => picked(values, rows, rows.length);
    return { x: at(base.x), y: at(base.y), step: at(base.step) };
  });
}

/** What a quantity can be, so that an interval does not leave it. */
function boundsOf(metric) {
  if (/accuracy|saturated|share|error:/.test(metric)) return [0, 1];
  return [/loss|norm|spread|seconds/.test(metric) ? 0 : -Infinity, Infinity];
}

/** An exponential moving average over points, without the pull of a start at zero. */
function smoothed(values, weight) {
  const result = new Float64Array(values.length);
  let [sum, total] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    sum = weight * sum + (1 - weight) * values[i];
    total = weight * total + (1 - weight);
    result[i] = sum / total;
  }
  return result;
}

/** The first x at which a curve is at least `target`; null: never. */
function reaches(curve, target) {
  const at = curve.y.findIndex((value) => value >= target);
  return at < 0 ? null : curve.x[at];
}

/** How many times as fast as `against` an arm gets to `share` of each seed's best of `against`. */
function speedUp(against, arm, share) {
  const seeds = arm.map((curve) => curve.key.seed).filter((seed) => ofSeed(against, seed));
  const pairs = seeds.map((seed) => {
    const [plain, mine] = [ofSeed(against, seed), ofSeed(arm, seed)];
    const target = share * largest(plain.y);
    const [before, after] = [plain, mine].map((curve) => reaches(curve, target));
    return { target, plain: before, mine: after, last: mine.x.at(-1) };
  });
  const logs = pairs.map((pair) => (pair.mine === null ? null : Math.log(pair.plain / pair.mine)));
  const censored = logs.filter((value) => value === null).length;
  if (!pairs.length || censored) return { pairs, censored, ratio: null };
  const { mean, low, high } = interval(logs);
  const exp = (log) => (log === null ? null : Math.exp(log));
  return { pairs, censored, ratio: { mean: exp(mean), low: exp(low), high: exp(high) } };
}

const ofSeed = (curves, seed) => curves.find((curve) => curve.key.seed === seed);

function largest(values) {
  let most = -Infinity;
  for (const value of values) if (value > most) most = value;
  return most;
}

/** A ratio as the tables have it: `1.86 [1.35, 2.56]`. */
function ratioText(speed) {
  if (!speed.pairs.length) return speed.left ? "no seed on the same hardware" : "no seed in common";
  if (!speed.ratio) return `never reached in ${speed.censored} of ${speed.pairs.length} seeds`;
  const { mean, low, high } = speed.ratio;
  const few = low === null || speed.pairs.length < 3; // then the seeds say more than an interval
  const bounds = few ? "" : ` [${low.toFixed(2)}, ${high.toFixed(2)}]`;
  return `${mean.toFixed(2)}${bounds}`;
}
