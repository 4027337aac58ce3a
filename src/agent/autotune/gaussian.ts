/** One dimension of a configuration: `ordinal` values have neighbours, `categorical` ones only differ. */
export interface Dimension {
  readonly name: string;
  readonly kind: "ordinal" | "categorical";
  readonly values: readonly string[];
}

/** Index of the chosen value in each dimension. */
export type Point = readonly number[];

export interface Observation {
  readonly point: Point;
  /** What is modelled, e.g. the logarithm of a speedup. */
  readonly value: number;
  /** Variance of the measurement of `value`. */
  readonly variance: number;
}

export interface Prediction {
  readonly mean: number;
  readonly deviation: number;
}

/** A model fitted to observations of one space. */
export interface Model {
  predict(point: Point): Prediction;
}

/** Length scales tried for each dimension, in units of its whole range; the last one means: hardly matters. */
const LENGTHS = [0.25, 0.6, 1.5, 4];
/** Beyond this many observations the newest and the best are kept: the fit costs the cube of it. */
const MAX_OBSERVATIONS = 140;
/**
 * What was tried was chosen because it was promising (seeds have hand-picked settings), so the unknown is assumed to lie one
 * scale below the best, with the weight of so many observations. Without it a search begins with far restarts.
 */
const PESSIMISM = 2;
/** Part of the variance that no dimension explains. */
const NUGGET = 0.02;

/**
 * A Gaussian process over configurations (Matérn 3/2 per dimension, product over dimensions), with one length scale per
 * dimension chosen by the likelihood: with few observations it says what to expect next, and which dimensions matter.
 * `scale` is the deviation of values assumed while there are too few to estimate one.
 */
export function fitModel(
  dimensions: readonly Dimension[],
  all: readonly Observation[],
  scale: number,
): Model {
  const observations = thin(all);
  const n = observations.length;
  if (n === 0) return { predict: () => ({ mean: 0, deviation: scale }) };
  const top = Math.max(...observations.map((one) => one.value));
  const total = observations.reduce((sum, one) => sum + one.value, 0);
  const mean = (total + PESSIMISM * (top - scale)) / (n + PESSIMISM);
  const spread = Math.sqrt(observations.reduce((sum, one) => sum + (one.value - mean) ** 2, 0) / n);
  // A pseudo-count of two for the assumed scale.
  const amplitude = Math.max(0.02, Math.sqrt((spread ** 2 * n + scale ** 2 * 2) / (n + 2)));
  const centred = observations.map((one) => (one.value - mean) / amplitude);
  const noise = observations.map((one) => NUGGET + one.variance / amplitude ** 2);
  const lengths = dimensions.map(() => 1.5);
  let best = solve(dimensions, observations, centred, noise, lengths);
  if (n >= 4) {
    for (let pass = 0; pass < 2; pass += 1) {
      for (const [index, dimension] of dimensions.entries()) {
        if (dimension.values.length < 2) continue;
        const kept = lengths[index] ?? 1.5;
        let chosen = kept;
        for (const length of LENGTHS) {
          if (length === kept) continue;
          lengths[index] = length;
          const rival = solve(dimensions, observations, centred, noise, lengths);
          if (rival.likelihood > best.likelihood) {
            best = rival;
            chosen = length;
          }
        }
        lengths[index] = chosen;
      }
    }
  }
  const { factor, weights } = best;
  const tables = tablesOf(dimensions, lengths);
  return {
    predict(point): Prediction {
      const k = observations.map((one) => correlation(tables, one.point, point));
      const expected = k.reduce((sum, value, index) => sum + value * (weights[index] ?? 0), 0);
      const reduced = forward(factor, k);
      const variance = 1 - reduced.reduce((sum, value) => sum + value * value, 0);
      return {
        mean: mean + amplitude * expected,
        deviation: amplitude * Math.sqrt(Math.max(variance, 1e-6)),
      };
    },
  };
}

/** Expected improvement over `bound` under a normal prediction. */
export function expectedImprovement({ mean, deviation }: Prediction, bound: number): number {
  if (deviation <= 0) return Math.max(0, mean - bound);
  const z = (mean - bound) / deviation;
  return deviation * (z * normalBelow(z) + Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI));
}

/** How alike two points are, 0..1, with every dimension at `length`. */
export function likeness(dimensions: readonly Dimension[], length: number): (a: Point, b: Point) => number {
  const tables = tablesOf(
    dimensions,
    dimensions.map(() => length),
  );
  return (a, b) => correlation(tables, a, b);
}

/** Correlation of each dimension by the distance of two indices: what the product over dimensions is taken from. */
type Tables = readonly Float64Array[];

function tablesOf(dimensions: readonly Dimension[], lengths: readonly number[]): Tables {
  return dimensions.map((dimension, index) => {
    const range = Math.max(1, dimension.values.length - 1);
    return Float64Array.from(dimension.values, (_, step) => {
      const distance = dimension.kind === "ordinal" ? step / range : step === 0 ? 0 : 0.7;
      const r = (Math.sqrt(3) * distance) / (lengths[index] ?? 1.5);
      return (1 + r) * Math.exp(-r);
    });
  });
}

function correlation(tables: Tables, a: Point, b: Point): number {
  let product = 1;
  for (let index = 0; index < tables.length; index += 1) {
    product *= tables[index]?.[Math.abs((a[index] ?? 0) - (b[index] ?? 0))] ?? 0;
  }
  return product;
}

function solve(
  dimensions: readonly Dimension[],
  observations: readonly Observation[],
  values: readonly number[],
  noise: readonly number[],
  lengths: readonly number[],
): { factor: number[][]; weights: number[]; likelihood: number } {
  const factor = cholesky(observations, noise, tablesOf(dimensions, lengths));
  const reduced = forward(factor, values);
  const weights = backward(factor, reduced);
  let likelihood = 0;
  for (const [index, row] of factor.entries()) likelihood -= Math.log(row[index] ?? 1);
  for (const value of reduced) likelihood -= 0.5 * value * value;
  return { factor, weights, likelihood };
}

/** Lower factor of the covariance matrix. The noise on the diagonal keeps it positive definite. */
function cholesky(
  observations: readonly Observation[],
  noise: readonly number[],
  tables: Tables,
): number[][] {
  const factor: number[][] = [];
  for (const [i, one] of observations.entries()) {
    const row: number[] = [];
    for (let j = 0; j <= i; j += 1) {
      const other = observations[j];
      const earlier = factor[j] ?? row;
      let sum =
        i === j ? 1 + (noise[i] ?? 0) : other === undefined ? 0 : correlation(tables, one.point, other.point);
      for (let k = 0; k < j; k += 1) sum -= (row[k] ?? 0) * (earlier[k] ?? 0);
      row.push(i === j ? Math.sqrt(Math.max(sum, 1e-9)) : sum / (earlier[j] ?? 1));
    }
    factor.push(row);
  }
  return factor;
}

function forward(factor: readonly (readonly number[])[], values: readonly number[]): number[] {
  const out: number[] = [];
  for (const [i, row] of factor.entries()) {
    let sum = values[i] ?? 0;
    for (let k = 0; k < i; k += 1) sum -= (row[k] ?? 0) * (out[k] ?? 0);
    out.push(sum / (row[i] ?? 1));
  }
  return out;
}

function backward(factor: readonly (readonly number[])[], values: readonly number[]): number[] {
  const out = values.slice();
  for (let i = factor.length - 1; i >= 0; i -= 1) {
    let sum = out[i] ?? 0;
    for (let k = i + 1; k < factor.length; k += 1) sum -= (factor[k]?.[i] ?? 0) * (out[k] ?? 0);
    out[i] = sum / (factor[i]?.[i] ?? 1);
  }
  return out;
}

function thin(observations: readonly Observation[]): readonly Observation[] {
  if (observations.length <= MAX_OBSERVATIONS) return observations;
  const half = MAX_OBSERVATIONS / 2;
  const newest = observations.slice(-half);
  const best = observations
    .slice(0, -half)
    .toSorted((a, b) => b.value - a.value)
    .slice(0, half);
  return [...best, ...newest];
}

/** Probability that a standard normal is below z (Abramowitz and Stegun 26.2.17; error under 1e-7). */
function normalBelow(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail =
    (Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI)) *
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z >= 0 ? 1 - tail : tail;
}
