import { randomFrom } from "../../../src/evolution/random.ts";
import { type Chunk, type LabelledQuery, matches } from "./queries.ts";

const RESAMPLES = 2000;
const DEPTH = 10;
/** Text that a caller reads of either system: chunks are not of one length. */
const CHARACTERS = 10_000;

export const MEASURES = ["hit@5", "recall@10", "MRR", "recall in 10,000 characters"] as const;
export type Measure = (typeof MEASURES)[number];
export type Scores = Readonly<Record<Measure, number>>;

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/**
 * hit@5: some label among the first five chunks. recall@10: labels found among the first ten, of all labels. MRR: reciprocal rank
 * of the first chunk that has a label, 0 below rank ten. `more` are enough chunks for the measure by characters.
 */
export function score(query: LabelledQuery, chunks: readonly Chunk[], more: readonly Chunk[]): Scores {
  const first = chunks.slice(0, DEPTH);
  const found = (some: readonly Chunk[]): number =>
    query.labels.filter((label) => some.some((chunk) => matches(label, chunk))).length;
  const rank = first.findIndex((chunk) => query.labels.some((label) => matches(label, chunk)));
  let characters = 0;
  const within = more.filter((chunk) => {
    characters += chunk.text.length;
    return characters <= CHARACTERS;
  });
  return {
    "hit@5": found(first.slice(0, 5)) > 0 ? 1 : 0,
    "recall@10": found(first) / query.labels.length,
    MRR: rank < 0 ? 0 : 1 / (rank + 1),
    "recall in 10,000 characters": found(within) / query.labels.length,
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean with the middle 95% of the means of 2,000 samples drawn with replacement; the same draws for the same `seed`. */
export function bootstrap(values: readonly number[], seed: string): Interval {
  const random = randomFrom("retrieval", seed, values.length);
  const means: number[] = [];
  for (let round = 0; round < RESAMPLES; round += 1) {
    let sum = 0;
    for (let at = 0; at < values.length; at += 1) sum += values[random.integer(values.length)] ?? 0;
    means.push(sum / values.length);
  }
  means.sort((a, b) => a - b);
  const at = (share: number): number => means[Math.floor(share * (RESAMPLES - 1))] ?? Number.NaN;
  return { mean: mean(values), low: at(0.025), high: at(0.975) };
}

/** Of one system over some queries. */
export function summary(scores: readonly Scores[]): Record<Measure, Interval> {
  const of = (measure: Measure): Interval =>
    bootstrap(
      scores.map((one) => one[measure]),
      measure,
    );
  return {
    "hit@5": of("hit@5"),
    "recall@10": of("recall@10"),
    MRR: of("MRR"),
    "recall in 10,000 characters": of("recall in 10,000 characters"),
  };
}

/** First minus second, query by query. */
export function paired(first: readonly Scores[], second: readonly Scores[]): Record<Measure, Interval> {
  return summary(
    first.map((one, at) => {
      const other = second[at] ?? one;
      return {
        "hit@5": one["hit@5"] - other["hit@5"],
        "recall@10": one["recall@10"] - other["recall@10"],
        MRR: one.MRR - other.MRR,
        "recall in 10,000 characters":
          one["recall in 10,000 characters"] - other["recall in 10,000 characters"],
      };
    }),
  );
}

export function shown({ mean: value, low, high }: Interval): string {
  return `${value.toFixed(3)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
}

export function signed({ mean: value, low, high }: Interval): string {
  const sign = (number: number): string => `${number < 0 ? "" : "+"}${number.toFixed(3)}`;
  return `${sign(value)} [${sign(low)}, ${sign(high)}]`;
}

/** The value below which a share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
