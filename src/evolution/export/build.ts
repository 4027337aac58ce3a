import { errorMessage, KernelEvolveError } from "../../domain/errors.ts";
import type { WorkContext } from "../../domain/job.ts";
import type { Problem } from "../../domain/problem.ts";
import type { Node } from "../../domain/run.ts";
import type { RunOverview } from "../../domain/services.ts";
import type { Peaks } from "../../domain/target.ts";
import { resolveWorkload } from "../../problems/resolve.ts";
import type { EvolutionDependencies } from "../dependencies.ts";
import { chooseShown, lineageOf, outcomeOf, type ReportModel, type ReportNode } from "./model.ts";

/** Nodes read from the store at a time. */
const PAGE = 2_000;

/** Everything that a report shows, read from the store. Long runs are thinned before records and sources are read. */
export async function buildModel(
  deps: EvolutionDependencies,
  overview: RunOverview,
  context: WorkContext,
): Promise<ReportModel> {
  const { run } = overview;
  const target = await deps.targets.get(run.target);
  const stored = await deps.problems.get(run.problem);
  const problem = await deps.problems.graded(stored, run.target, context);
  const all: Node[] = [];
  for (let page = deps.graph.nodes(run.id, { limit: PAGE }); page.length > 0; ) {
    all.push(...page);
    page = deps.graph.nodes(run.id, { limit: PAGE, after_step: page.at(-1)?.step ?? -1 });
  }
  const nodes: ReportNode[] = [];
  for (const node of chooseShown(all, overview.best)) {
    const source = deps.graph.source(node.candidate);
    if (source === undefined)
      throw new KernelEvolveError("corrupt", `node ${node.id}: its source is not in the store`);
    nodes.push({
      node,
      source,
      record: await deps.evaluations.get(node.evaluation),
      outcome: outcomeOf(node),
    });
  }
  const byId = new Map(nodes.map((entry) => [entry.node.id, entry]));
  const best = overview.best === null ? undefined : byId.get(overview.best.id);
  const { peaks, note } = await measuredPeaks(deps, run.target, context);
  return {
    overview,
    problem,
    target,
    nodes,
    best,
    lineage: best === undefined ? [] : lineageOf(best, byId),
    improvements: improvementsOf(all),
    peaks,
    costs: costsOf(problem),
    generatedAt: new Date().toISOString(),
    notes: note === undefined ? [] : [note],
  };
}

function improvementsOf(nodes: readonly Node[]): { step: number; fitness: number }[] {
  let top = 0;
  return nodes.flatMap((node) => {
    if (node.fitness <= top) return [];
    top = node.fitness;
    return [{ step: node.step, fitness: node.fitness }];
  });
}

/** Peaks for the roofline plot. A machine that cannot measure them gets a report that says so. */
async function measuredPeaks(
  deps: EvolutionDependencies,
  target: string,
  context: WorkContext,
): Promise<{ peaks: Peaks | undefined; note: string | undefined }> {
  try {
    return { peaks: await deps.targets.peaks(target, context), note: undefined };
  } catch (error) {
    if (context.signal.aborted) throw error;
    return {
      peaks: undefined,
      note: `No roofline plot: the machine's peaks could not be measured (${errorMessage(error)}).`,
    };
  }
}

/** Work of one call per timed workload, where the definition tells. */
function costsOf(problem: Problem): Map<string, { flops: number; bytes: number }> {
  const costs = new Map<string, { flops: number; bytes: number }>();
  for (const workload of problem.workloads) {
    if (workload.role !== "timed" || problem.definition.cost === undefined) continue;
    const { flops, bytes } = resolveWorkload(problem.definition, workload);
    if (flops !== undefined) costs.set(workload.uuid, { flops, bytes });
  }
  return costs;
}
