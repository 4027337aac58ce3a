import { Arms } from "../../../src/agent/autotune/arms.ts";
import { rewrite } from "../../../src/agent/autotune/configuration.ts";
import { follow } from "../../../src/agent/autotune/follow.ts";
import type { Proposal } from "../../../src/agent/autotune/rank.ts";
import type { Node, PolicyName } from "../../../src/domain/index.ts";
import { randomFrom } from "../../../src/evolution/random.ts";
import { cellOf, FeatureReader } from "../../../src/evolution/selection/features.ts";
import { Population, policies, resolveParameters } from "../../../src/evolution/selection/index.ts";
import { sha256 } from "../../../src/platform/hash.ts";
import { ABSTRACTION } from "./grids.ts";
import type { Landscape } from "./landscape.ts";

/** What a replay needs of a landscape: where it begins, and what a configuration measures. */
export type Measured = Pick<Landscape, "seeds" | "outcome">;

export interface Replay {
  /** Best credited speedup after each evaluation. */
  readonly curve: readonly number[];
  readonly sources: readonly string[];
}

/**
 * A run of the autotuner under a policy over a recorded landscape, without store and service: the same policy, the same
 * driver's choices and the same random numbers as a run through them (`test/bench/landscape.test.ts` holds them against
 * each other). The seeds are the first evaluations, as in a run.
 */
export function replay(
  landscape: Measured,
  policyName: PolicyName,
  seed: number,
  evaluations: number,
  given: Readonly<Record<string, number>> = {},
): Replay {
  const policy = policies[policyName];
  const parameters = resolveParameters(policy, given);
  const reader = new FeatureReader(ABSTRACTION);
  const sources = new Map<string, string>();
  const population = new Population(
    policy.cells === true ? (node) => cellOf(reader.read(sources.get(node.id) ?? "", node)) : undefined,
  );
  const arms = new Arms(ABSTRACTION);
  const curve: number[] = [];
  const add = (
    source: string,
    operator: Node["operator"],
    parents: readonly string[],
    island: number,
  ): void => {
    const node = nodeOf(landscape, source, { step: curve.length, operator, parents, island });
    sources.set(node.id, source);
    population.add(node);
    arms.add(node, source);
    curve.push(Math.max(curve.at(-1) ?? 0, node.fitness));
  };
  for (const [index, { source }] of landscape.seeds.entries())
    if (curve.length < evaluations) add(source, "seed", [], policy.rootIsland(index, parameters));
  for (let ordinal = 0; curve.length < evaluations; ordinal += 1) {
    const selection = policy.select(
      { population, open: [], ordinal, random: randomFrom(seed, "select", ordinal) },
      parameters,
    );
    const proposal = follow(selection, arms, randomFrom(seed, "autotune", curve.length));
    if (proposal === undefined) break;
    add(
      sourceOf(proposal),
      proposal.operator,
      proposal.parents.map(({ id }) => id),
      selection.island,
    );
  }
  return { curve, sources: [...sources.values()] };
}

function sourceOf({ arm, point }: Proposal): string {
  return rewrite(arm.template, arm.space, point);
}

/** The node that an evaluation with the recorded outcome makes. */
export function nodeOf(
  landscape: Measured,
  source: string,
  made: Pick<Node, "step" | "operator" | "island"> & { readonly parents: readonly string[] },
): Node {
  const { status, speedup } = landscape.outcome(source);
  const passed = status === "ok" || status === "too_noisy";
  return {
    id: `node_${String(made.step).padStart(6, "0")}`,
    run: "run_replay",
    step: made.step,
    parents: [...made.parents],
    operator: made.operator,
    rationale: "",
    candidate: sha256(source),
    evaluation: `eval_${made.step}`,
    verdict: passed ? "passed" : "rejected",
    status,
    fitness: speedup?.credited === true ? speedup.ratio : 0,
    ...(speedup === undefined ? {} : { speedup }),
    reasons: [],
    island: made.island,
    proposer: "autotune",
    device_seconds: 1,
    created_at: "2026-01-01T00:00:00.000Z",
  };
}
