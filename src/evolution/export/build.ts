import { KernelEvolveError } from "../../domain/errors.ts";
import type { WorkContext } from "../../domain/job.ts";
import type { Problem } from "../../domain/problem.ts";
import type { Node } from "../../domain/run.ts";
import type { RunOverview } from "../../domain/services.ts";
import { resolveWorkload } from "../../problems/resolve.ts";
import type { EvolutionDependencies } from "../dependencies.ts";
import { allNodes, type Curve, curveOf } from "./curve.ts";
import { chooseShown, lineageOf, outcomeOf, type ReportModel, type ReportNode } from "./model.ts";
import { roofsOf } from "./roofs.ts";
import { failureGroups } from "./statistics.ts";

/** Everything that a report shows, read from the store. Long runs are thinned before records and sources are read. */
export async function buildModel(
  deps: EvolutionDependencies,
  { run: overview, control }: { readonly run: RunOverview; readonly control: RunOverview | undefined },
  context: WorkContext,
): Promise<ReportModel> {
  const { run } = overview;
  const target = await deps.targets.get(run.target);
  const stored = await deps.problems.get(run.problem);
  const problem = await deps.problems.graded(stored, run.target, context);
  const all = allNodes(deps.graph, run.id);
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
  const costs = costsOf(problem);
  const found = best && (await roofsOf(deps.targets, target, problem, best.record.device, context));
  const roofs = found !== undefined && "roofs" in found ? found.roofs : undefined;
  const missing =
    found !== undefined && "missing" in found
      ? found.missing
      : found !== undefined && costs.size === 0
        ? "the problem's definition does not tell the work of a call (cost.flops)"
        : undefined;
  return {
    overview,
    problem,
    target,
    nodes,
    best,
    lineage: best === undefined ? [] : lineageOf(best, byId),
    curve: curve(deps, run.id, all),
    control: control && {
      overview: control,
      curve: curve(deps, control.run.id, allNodes(deps.graph, control.run.id)),
    },
    failures: failureGroups(
      all.map((node) => ({ node, outcome: outcomeOf(node) })),
      new Map(nodes.map((entry, index) => [entry.node.id, index])),
    ),
    roofs,
    costs,
    generatedAt: new Date().toISOString(),
    notes: [
      ...(missing === undefined ? [] : [`No roofline plot: ${missing}.`]),
      ...(run.control_of === undefined
        ? []
        : [`This run is the control of run ${run.control_of}, whose report shows both.`]),
    ],
  };
}

function curve({ graph }: EvolutionDependencies, run: string, nodes: readonly Node[]): Curve {
  return curveOf(nodes, (moment) => graph.usedUntil(run, moment), graph.used(run));
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
