import type { Node } from "../../domain/run.ts";
import { pointOf, type Space, spaceOf } from "./configuration.ts";
import type { Observation, Point } from "./gaussian.ts";
import { pointKey } from "./moves.ts";

/** One configuration that passed, with the node that holds it. */
export interface Trial {
  readonly node: Node;
  readonly source: string;
  readonly point: Point;
  /** Logarithm of the measured speedup. */
  readonly value: number;
  readonly variance: number;
}

/** One structure with everything tried on it: what the bandit chooses among. */
export interface Arm {
  readonly space: Space;
  /** Source whose header is rewritten: that of the first node of the structure. */
  readonly template: string;
  readonly root: Node;
  /** Passed, best first. */
  readonly trials: Trial[];
  /** Points that failed through their own fault. */
  readonly failed: Point[];
  /** Keys of everything tried or under way. */
  readonly tried: Set<string>;
  /** Where each node of the structure stands, passed or not. */
  readonly places: Map<string, Point>;
}

/** Deviation of log speedup from an interval of 95 %. */
function varianceOf(node: Node): number {
  const { low = 0, high = 0 } = node.speedup ?? {};
  if (!(low > 0) || !(high > low)) return 1e-6;
  return ((Math.log(high) - Math.log(low)) / 3.92) ** 2;
}

/** The value less its deviation: among leaders the well-measured come first. */
function surely(trial: Trial): number {
  return trial.value - Math.sqrt(trial.variance);
}

/** The structures of a run, fed node by node. */
export class Arms {
  readonly #arms = new Map<string, Arm>();
  readonly #nodes = new Map<string, { readonly arm: Arm; readonly node: Node }>();
  readonly #abstraction: string;

  constructor(abstraction: string) {
    this.#abstraction = abstraction;
  }

  get all(): readonly Arm[] {
    return [...this.#arms.values()];
  }

  /** A node that is a configuration of some structure; undefined for what declares nothing to tune. */
  find(node: string): { readonly arm: Arm; readonly node: Node } | undefined {
    return this.#nodes.get(node);
  }

  /** Takes a node in. Nodes whose source declares nothing to tune are no arm. */
  add(node: Node, source: string): Arm | undefined {
    const space = spaceOf(source, this.#abstraction);
    if (space === undefined) return undefined;
    const known = this.#arms.get(space.structure);
    const arm = known ?? {
      space,
      template: source,
      root: node,
      trials: [],
      failed: [],
      tried: new Set<string>(),
      places: new Map<string, Point>(),
    };
    if (known === undefined) this.#arms.set(space.structure, arm);
    const point = pointOf(source, arm.space);
    arm.tried.add(pointKey(point));
    arm.places.set(node.id, point);
    this.#nodes.set(node.id, { arm, node });
    if (node.verdict === "passed" && node.speedup !== undefined && node.speedup.ratio > 0) {
      arm.trials.push({
        node,
        source,
        point,
        value: Math.log(node.speedup.ratio),
        variance: varianceOf(node),
      });
      arm.trials.sort((a, b) => surely(b) - surely(a) || a.node.step - b.node.step);
    } else if (
      node.verdict === "rejected" &&
      node.status !== "infrastructure_error" &&
      node.status !== "unsupported"
    ) {
      arm.failed.push(point);
    }
    return arm;
  }
}

export function observationsOf(arm: Arm): Observation[] {
  return arm.trials
    .toSorted((a, b) => a.node.step - b.node.step)
    .map(({ point, value, variance }) => ({ point, value, variance }));
}
