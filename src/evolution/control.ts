import { KernelEvolveError } from "../domain/errors.ts";
import { type Budget, budgetSchema, type Control, type Run, type Spent } from "../domain/run.ts";
import type { GraphRepository } from "../store/index.ts";
import { paceOf } from "./pace.ts";
import { policies, resolveParameters } from "./selection/index.ts";
import { newId } from "./starting.ts";

const POLICY: Control = "best-of-n";

/**
 * The control of a run, opened when there is none, with what the run has spent so far for its budget. When the run has gone on
 * since, the control's budget grows with it and a finished control is open again; one that was ended by hand stays ended.
 * One transaction: two callers at the same time are answered the same run.
 */
export function controlRun(graph: GraphRepository, id: string, spent: Spent): Run {
  return graph.atomically(() => {
    const run = graph.run(id);
    if (run === undefined) throw new KernelEvolveError("not_found", `run ${id} is unknown`);
    if (run.control_of !== undefined) {
      throw new KernelEvolveError(
        "invalid_argument",
        `run ${id} is itself the control of ${run.control_of}`,
        {
          fix: `Name run ${run.control_of}.`,
        },
      );
    }
    const budget = equalBudget(run, spent);
    const known = graph.controlOf(id);
    if (known === undefined) return graph.createRun(opened(run, budget));
    if (known.state === "cancelled" || !grown(known.budget, budget)) return known;
    const { stop_reason: _reason, finished_at: _at, ...rest } = known;
    const extended: Run = { ...rest, budget, state: "open" };
    graph.updateRun(extended);
    return extended;
  });
}

function opened(run: Run, budget: Budget): Run {
  const { full, screen } = paceOf(run);
  const policy = policies[POLICY];
  const seeds = run.policy_params["seeds"];
  return {
    id: newId("run"),
    problem: run.problem,
    target: run.target,
    abstraction: run.abstraction,
    baseline: run.baseline,
    policy: policy.name,
    policy_params: { ...resolveParameters(policy, seeds === undefined ? {} : { seeds }) },
    budget,
    seed: run.seed,
    memory: "none",
    prior_kernels: 0,
    control_of: run.id,
    pace: { full, ...(screen === undefined ? {} : { screen }) },
    state: "open",
    created_at: new Date().toISOString(),
  };
}

/** What a run has spent, as bounds. Goals and stalls are no part of it: a control spends what the run did, whatever it finds. */
function equalBudget(run: Run, spent: Spent): Budget {
  if (spent.nodes === 0) {
    throw new KernelEvolveError(
      "conflict",
      `run ${run.id} has evaluated nothing yet: there is no budget to equal`,
      {
        fix: "Let the run spend its budget first, then ask for its control.",
      },
    );
  }
  return budgetSchema.parse({
    nodes: spent.nodes,
    // What was answered from the cache alone held no device: then nodes are the bound.
    ...(spent.device_seconds > 0 ? { device_seconds: spent.device_seconds } : {}),
    ...(spent.tokens > 0 ? { tokens: spent.tokens } : {}),
    ...(spent.cost > 0 ? { cost: spent.cost } : {}),
  });
}

function grown(before: Budget, now: Budget): boolean {
  const more = (a: number | undefined, b: number | undefined): boolean => (b ?? 0) > (a ?? 0);
  return (
    more(before.nodes, now.nodes) ||
    more(before.device_seconds, now.device_seconds) ||
    more(before.tokens, now.tokens) ||
    more(before.cost, now.cost)
  );
}
