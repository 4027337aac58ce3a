import { KernelEvolveError } from "../domain/errors.ts";
import type { Claim, MemoryMode, Run } from "../domain/run.ts";
import type { GraphRepository } from "../store/index.ts";
import { randomFrom } from "./random.ts";
import type { Selection } from "./selection/index.ts";
import { newId } from "./starting.ts";
import type { RunStates } from "./states.ts";

/** Seconds in which a claim must be answered. */
export const CLAIM_SECONDS = { default: 900, min: 10, max: 86_400 } as const;

/** The bounds of a claim's life, checked. @throws invalid_argument */
export function claimSeconds(given: number | undefined): number {
  const { default: usual, min, max } = CLAIM_SECONDS;
  if (given === undefined) return usual;
  if (Number.isFinite(given) && given >= min && given <= max) return given;
  throw new KernelEvolveError("invalid_argument", `ttl_seconds: ${given} is not from ${min} to ${max}`);
}

/** What the policy would expand next. Derived from the run's seed and the number of claims given: nothing is stored. */
export function selectNext(
  graph: GraphRepository,
  states: RunStates,
  run: Run,
): { selection: Selection; ordinal: number } {
  const state = states.of(run);
  const ordinal = graph.countClaims(run.id);
  const selection = state.policy.select(
    {
      population: state.population,
      open: graph.openClaims(run.id),
      ordinal,
      random: randomFrom(run.seed, "select", ordinal),
    },
    state.parameters,
  );
  return { selection, ordinal };
}

/**
 * Chooses and books one expansion in one transaction: with the nodes there are and the claims that are open, a run never
 * promises more places than its budget of nodes has. The prompt is written afterwards. Answers the claim and how many the
 * run had given before.
 * @throws conflict when every place left is claimed, invalid_argument for a control that is to remember
 */
export function bookClaim(
  graph: GraphRepository,
  states: RunStates,
  run: Run,
  proposer: string,
  ttlSeconds: number,
  memory: MemoryMode | undefined,
): { claim: Claim; ordinal: number } {
  if (run.control_of !== undefined && memory !== undefined && memory !== "none") {
    throw new KernelEvolveError(
      "invalid_argument",
      `memory: run ${run.id} is the control of ${run.control_of}, whose drafts are told nothing`,
      { fix: "Leave memory out." },
    );
  }
  return graph.atomically(() => {
    const open = graph.openClaims(run.id);
    const nodes = states.of(run).population.size;
    if (run.budget.nodes !== undefined && nodes + open.length >= run.budget.nodes) {
      const first = open.map((claim) => claim.expires_at).sort((a, b) => a.localeCompare(b))[0] ?? "soon";
      throw new KernelEvolveError(
        "conflict",
        `run ${run.id}: the ${run.budget.nodes - nodes} nodes left of its budget are claimed by others`,
        {
          fix: `Ask again after one of them is answered; the first claim expires at ${first}.`,
        },
      );
    }
    const { selection, ordinal } = selectNext(graph, states, run);
    const now = Date.now();
    const claim: Claim = {
      id: newId("claim"),
      run: run.id,
      parents: [...selection.parents],
      phase: selection.phase,
      island: selection.island,
      proposer,
      memory: memory ?? run.memory ?? "both",
      // From the seed and the claim's place, so that a run that is repeated draws the same.
      prior: randomFrom(run.seed, "prior kernels", ordinal).next() < (run.prior_kernels ?? 0),
      created_at: new Date(now).toISOString(),
      expires_at: new Date(now + ttlSeconds * 1000).toISOString(),
      state: "open",
    };
    graph.createClaim(claim, "");
    return { claim, ordinal };
  });
}
