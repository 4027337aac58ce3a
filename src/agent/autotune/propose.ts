import type { Node } from "../../domain/run.ts";
import type { Random } from "../../evolution/random.ts";
import { weightedIndex } from "../../evolution/random.ts";
import type { Arm, Trial } from "./arms.ts";
import { changes } from "./configuration.ts";
import type { Point } from "./gaussian.ts";
import {
  cross,
  differences,
  enumerate,
  mutate,
  neighbours,
  pattern,
  pointKey,
  randomPoint,
  spaceSize,
} from "./moves.ts";
import { bestOf, boundOf, type Proposal, UNRANKED } from "./rank.ts";

/** Spaces up to this size are ranked whole; larger ones through what the operators generate. */
export const WHOLE = 600;
/** Leaders of a structure that moves start from. */
const LEADERS = 4;

/**
 * The next child. Operators (mutation towards near values, crossover weighted by fitness, pattern moves, random restarts)
 * generate untried points for every structure; a Gaussian process per structure ranks them by expected improvement over
 * the run's best; the structure with the highest is played. That makes the bandit: a structure far behind is left
 * alone until what is known of it makes a win likely. Undefined when every structure is tried out.
 */
export function propose(arms: readonly Arm[], random: Random): Proposal | undefined {
  const open = untriedArms(arms).filter((arm) => arm.trials.length > 0);
  if (open.length === 0) return undefined;
  const bound = boundOf(arms);
  if (random.next() < UNRANKED) {
    const arm =
      open[
        weightedIndex(
          open.map((one) => Math.exp(2 * ((one.trials[0]?.value ?? bound) - bound))),
          random,
        )
      ];
    const pool = arm === undefined ? [] : generate(arm, arms, random);
    const chosen = random.pick(pool);
    if (chosen !== undefined) return chosen;
  }
  return bestOf(
    open.flatMap((arm) => generate(arm, arms, random)),
    bound,
  );
}

/** Structures with a configuration that nobody has tried. */
export function untriedArms(arms: readonly Arm[]): Arm[] {
  return arms.filter((arm) => arm.tried.size < spaceSize(arm.space.dimensions));
}

/** A proposal in one line: what it changes against its first parent, or against the structure's first node. */
export function describe({ arm, point, operator, parents }: Proposal): string {
  const from = arm.places.get(parents[0]?.id ?? arm.root.id);
  const how = { mutate: "mutation", crossover: "crossover", tune: "fresh sample" }[operator];
  return from === undefined ? `${how} of a configuration` : `${how}: ${changes(arm.space, from, point)}`;
}

/** A child without feedback and without parents: any structure, any untried configuration. The control for everything above. */
export function restart(arms: readonly Arm[], random: Random): Proposal | undefined {
  const open = untriedArms(arms);
  const arm = random.pick(open);
  if (arm === undefined) return undefined;
  const { dimensions } = arm.space;
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const point = randomPoint(dimensions, random);
    if (!arm.tried.has(pointKey(point))) return { arm, point, operator: "tune", parents: [] };
  }
  // Nearly exhausted, so small enough to be listed.
  const rest =
    spaceSize(dimensions) <= 100_000
      ? enumerate(dimensions).filter((point) => !arm.tried.has(pointKey(point)))
      : [];
  const point = random.pick(rest);
  return point === undefined ? undefined : { arm, point, operator: "tune", parents: [] };
}

/** Untried points of one structure, each with its operator and parents. */
function generate(arm: Arm, arms: readonly Arm[], random: Random): Proposal[] {
  const { dimensions } = arm.space;
  const leaders = arm.trials.slice(0, LEADERS);
  const first = leaders[0];
  if (first === undefined) return [];
  const pool = new Map<string, Proposal>();
  const offer = (point: Point, operator: Proposal["operator"], parents: readonly Node[]): void => {
    const key = pointKey(point);
    if (!arm.tried.has(key) && !pool.has(key)) pool.set(key, { arm, point, operator, parents });
  };
  for (const { point, node } of leaders) {
    for (const near of neighbours(dimensions, point, 1)) offer(near, "mutate", [node]);
  }
  for (const far of neighbours(dimensions, first.point, Number.POSITIVE_INFINITY))
    offer(far, "mutate", [first.node]);
  for (const [before, after] of gains(arm))
    offer(pattern(dimensions, before.point, after.point), "mutate", [after.node]);
  if (spaceSize(dimensions) <= WHOLE) {
    for (const point of enumerate(dimensions)) offerNearest(arm, point, offer);
  } else {
    for (let count = 0; count < 24; count += 1) {
      const trial = leaders[random.integer(leaders.length)] ?? first;
      offer(mutate(dimensions, trial.point, random), "mutate", [trial.node]);
    }
    for (let count = 0; count < 32; count += 1) offer(randomPoint(dimensions, random), "tune", [first.node]);
  }
  for (let count = 0; count < 12; count += 1) {
    const pair = couple(arm, arms, random);
    if (pair === undefined) break;
    const child = cross(pair.own.point, pair.other.point, random);
    offer(child, "crossover", [pair.own.node, pair.other.node]);
  }
  return [...pool.values()];
}

/** A point found by enumeration is a mutation of the leader that it is near to, else a restart. */
function offerNearest(
  arm: Arm,
  point: Point,
  offer: (point: Point, operator: Proposal["operator"], parents: readonly Node[]) => void,
): void {
  const leaders = arm.trials.slice(0, LEADERS);
  const [first] = leaders;
  if (first === undefined) return;
  const nearest = leaders.reduce(
    (a, b) => (differences(b.point, point) < differences(a.point, point) ? b : a),
    first,
  );
  const near = differences(nearest.point, point) <= Math.max(1, Math.floor(point.length / 2));
  offer(point, near ? "mutate" : "tune", [nearest.node]);
}

/** Pairs of a trial and its better child, for pattern moves. */
function gains(arm: Arm): [Trial, Trial][] {
  const byId = new Map(arm.trials.map((trial) => [trial.node.id, trial]));
  return arm.trials.slice(0, LEADERS).flatMap((after): [Trial, Trial][] => {
    const before = byId.get(after.node.parents[0] ?? "");
    return before === undefined || before.value >= after.value ? [] : [[before, after]];
  });
}

/** Two parents weighted by fitness: of one structure, or of two that share tunables of the same names and values. */
function couple(
  arm: Arm,
  arms: readonly Arm[],
  random: Random,
): { own: Trial; other: { point: Point; node: Node } } | undefined {
  const foreign = arms.filter((other) => other !== arm && other.trials.length > 0 && shares(arm, other));
  const pick = (trials: readonly Trial[]): Trial | undefined => {
    const top = trials[0]?.value ?? 0;
    const few = trials.slice(0, 12);
    return few[
      weightedIndex(
        few.map((trial) => Math.exp(3 * (trial.value - top))),
        random,
      )
    ];
  };
  const own = pick(arm.trials);
  if (own === undefined) return undefined;
  const donor = random.next() < 0.3 ? random.pick(foreign) : undefined;
  if (donor !== undefined) {
    const other = pick(donor.trials);
    if (other !== undefined)
      return { own, other: { point: translate(arm, donor, own.point, other.point), node: other.node } };
  }
  const mates = arm.trials.filter((trial) => trial !== own);
  const other = pick(mates);
  return other === undefined ? undefined : { own, other };
}

export function shares(a: Arm, b: Arm): boolean {
  return a.space.dimensions.some((dimension) =>
    b.space.dimensions.some((other) => other.name === dimension.name),
  );
}

/** The donor's settings in the words of `arm`, where both know the name and the value; the rest stays. */
export function translate(arm: Arm, donor: Arm, base: Point, point: Point): Point {
  return arm.space.dimensions.map((dimension, index) => {
    const kept = base[index] ?? 0;
    const at = donor.space.dimensions.findIndex((other) => other.name === dimension.name);
    const value = donor.space.dimensions[at]?.values[point[at] ?? 0];
    const found = value === undefined ? -1 : dimension.values.indexOf(value);
    return found < 0 ? kept : found;
  });
}
