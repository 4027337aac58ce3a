import type { Node } from "../../domain/run.ts";
import type { Random } from "../../evolution/random.ts";
import { type Arm, observationsOf } from "./arms.ts";
import {
  expectedImprovement,
  fitModel,
  likeness,
  type Model,
  type Point,
  type Prediction,
} from "./gaussian.ts";

/** A child to make: a point of one structure, and how it came about. */
export interface Proposal {
  readonly arm: Arm;
  readonly point: Point;
  readonly operator: "mutate" | "crossover" | "tune";
  /** Nodes that it descends from: one, or two for a crossover. */
  readonly parents: readonly Node[];
}

/** Best trials whose believed value sets the bound to improve on. */
const BEST = 8;
/** Share of proposals that come straight from an operator, unranked: a model may be wrong. */
export const UNRANKED = 0.1;
/** Deviation of log speedup assumed within one structure before it is measured: a factor of about 1.4. */
const PRIOR_SCALE = 0.35;

/** What the run's best structures are believed to reach: what a child has to improve on. */
export function boundOf(arms: readonly Arm[]): number {
  return Math.max(...arms.filter((arm) => arm.trials.length > 0).map(believedBest));
}

/** The proposal with the highest expected improvement over `bound`, the first among equals. */
export function bestOf(proposals: readonly Proposal[], bound: number): Proposal | undefined {
  const judges = new Map<Arm, (point: Point) => number>();
  let best: Proposal | undefined;
  let highest = Number.NEGATIVE_INFINITY;
  for (const proposal of proposals) {
    const { arm, point } = proposal;
    const judge = judges.get(arm) ?? judgeOf(arm, bound);
    judges.set(arm, judge);
    const score = judge(point);
    if (score > highest) {
      highest = score;
      best = proposal;
    }
  }
  return best;
}

/** One of them: now and then any, otherwise the one with the highest expected improvement. */
export function rank(
  proposals: readonly Proposal[],
  arms: readonly Arm[],
  random: Random,
): Proposal | undefined {
  return random.next() < UNRANKED ? random.pick(proposals) : bestOf(proposals, boundOf(arms));
}

function judgeOf(arm: Arm, bound: number): (point: Point) => number {
  const model = modelOf(arm);
  const chance = passing(arm);
  return (point) => scoreOf(model.predict(point), chance(point), bound);
}

const models = new WeakMap<Arm, { readonly trials: number; readonly model: Model }>();

/** The structure's model, fitted again only when the structure has a new trial. */
function modelOf(arm: Arm): Model {
  const known = models.get(arm);
  if (known?.trials === arm.trials.length) return known.model;
  const model = fitModel(arm.space.dimensions, observationsOf(arm), PRIOR_SCALE);
  models.set(arm, { trials: arm.trials.length, model });
  return model;
}

/** What the model believes of the best trials: one lucky measurement must not make everything else look hopeless. */
function believedBest(arm: Arm): number {
  const model = modelOf(arm);
  return Math.max(...arm.trials.slice(0, BEST).map((trial) => model.predict(trial.point).mean));
}

/** Logarithm of expected improvement times the chance to pass; where nothing is expected, the nearest miss is best. */
function scoreOf(prediction: Prediction, chance: number, bound: number): number {
  const gain = expectedImprovement(prediction, bound);
  if (gain > 1e-12) return Math.log(gain) + Math.log(chance);
  return (
    Math.log(1e-12) + (prediction.mean - bound) / Math.max(prediction.deviation, 1e-3) + Math.log(chance)
  );
}

/** The chance to pass: the share of the alike points that passed, with half a pass assumed. */
function passing(arm: Arm): (point: Point) => number {
  if (arm.failed.length === 0) return () => 1;
  const alike = likeness(arm.space.dimensions, 0.5);
  const passed = arm.trials.slice(0, 100).map((trial) => trial.point);
  const failed = arm.failed.slice(-100);
  const sum = (points: readonly Point[], point: Point): number =>
    points.reduce((total, other) => total + alike(point, other), 0);
  return (point) => {
    const good = sum(passed, point) + 0.5;
    return good / (good + sum(failed, point));
  };
}
