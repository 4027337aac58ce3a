import type { Claim, Node } from "../../domain/run.ts";
import type { Random } from "../../evolution/random.ts";
import type { Arm, Arms } from "./arms.ts";
import type { Point } from "./gaussian.ts";
import { cross, differences, enumerate, mutate, neighbours, pattern, pointKey, spaceSize } from "./moves.ts";
import { propose, restart, shares, translate, WHOLE } from "./propose.ts";
import { type Proposal, rank } from "./rank.ts";

/** Mutations and crossings drawn in spaces too large to be listed. */
const DRAWN = 48;

/**
 * The child that a claim asks for. The policy names the parents, and with them structure and region; the driver's model
 * chooses within: one parent is changed in up to half of its dimensions, two are crossed, none means a fresh sample without
 * feedback, and a failed parent is changed towards what passes. Among the untried children that this allows, expected
 * improvement decides (see `rank`). Where it allows none, because the parent declares nothing to tune or all around it is
 * tried, the driver chooses parents itself (see `propose`). Undefined when every structure is tried out.
 */
export function follow(
  claim: Pick<Claim, "phase"> & { readonly parents: readonly string[] },
  arms: Arms,
  random: Random,
): Proposal | undefined {
  if (claim.phase === "draft") return restart(arms.all, random);
  const [first, second] = claim.parents.map((id) => arms.find(id));
  const crossed = first !== undefined && second !== undefined ? crossings(first, second, random) : [];
  const allowed = crossed.length > 0 || first === undefined ? crossed : around(first, random);
  return rank(allowed, arms.all, random) ?? propose(arms.all, random) ?? restart(arms.all, random);
}

interface Place {
  readonly arm: Arm;
  readonly node: Node;
}

/** Untried points near a node: up to half of the dimensions changed. */
function around({ arm, node }: Place, random: Random): Proposal[] {
  const { dimensions } = arm.space;
  const point = arm.places.get(node.id);
  if (point === undefined) return [];
  const reach = Math.max(1, Math.floor(dimensions.length / 2));
  const points =
    spaceSize(dimensions) <= WHOLE
      ? enumerate(dimensions).filter((other) => differences(other, point) <= reach)
      : [
          ...neighbours(dimensions, point, Number.POSITIVE_INFINITY),
          ...Array.from({ length: DRAWN }, () => mutate(dimensions, point, random)),
        ];
  const before = arm.places.get(node.parents[0] ?? "");
  // What led from its own parent to this node may lead further.
  if (before !== undefined) points.push(pattern(dimensions, before, point));
  return untried(arm, points).map((other) => ({ arm, point: other, operator: "mutate", parents: [node] }));
}

/** Untried points that take each setting from one parent or the other, in the structure of either. */
function crossings(a: Place, b: Place, random: Random): Proposal[] {
  return [
    [a, b],
    [b, a],
  ].flatMap(([own, other]): Proposal[] => {
    if (own === undefined || other === undefined) return [];
    const base = own.arm.places.get(own.node.id);
    const foreign = other.arm.places.get(other.node.id);
    if (base === undefined || foreign === undefined) return [];
    if (own.arm !== other.arm && !shares(own.arm, other.arm)) return [];
    const mate = own.arm === other.arm ? foreign : translate(own.arm, other.arm, base, foreign);
    const drawn = Array.from({ length: DRAWN }, () => cross(base, mate, random));
    const parents = [own.node, other.node];
    return untried(own.arm, drawn).map((point) => ({ arm: own.arm, point, operator: "crossover", parents }));
  });
}

function untried(arm: Arm, points: readonly Point[]): Point[] {
  const found = new Map(points.map((point) => [pointKey(point), point]));
  return [...found].filter(([key]) => !arm.tried.has(key)).map(([, point]) => point);
}
