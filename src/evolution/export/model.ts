import type { EvaluationRecord, Speedup } from "../../domain/evaluation.ts";
import type { Problem } from "../../domain/problem.ts";
import type { Node } from "../../domain/run.ts";
import type { RunOverview } from "../../domain/services.ts";
import type { TargetSpec } from "../../domain/target.ts";
import type { Curve } from "./curve.ts";
import type { Roofs } from "./roofs.ts";
import type { FailureGroup } from "./statistics.ts";

/** More nodes than this make a page slow to open; a larger run is thinned, and the report says so. */
export const MAX_SHOWN_NODES = 2_500;

/** One node with what the report needs of it. */
export interface ReportNode {
  readonly node: Node;
  readonly source: string;
  readonly record: EvaluationRecord;
  readonly outcome: Outcome;
}

/** How a node is drawn: by colour and by shape. */
export type Outcome = "credited" | "uncredited" | "flagged" | "rejected" | "void";

export interface ReportModel {
  readonly overview: RunOverview;
  readonly problem: Problem;
  readonly target: TargetSpec;
  /** By step. All of the run's nodes, or a thinned choice of them. */
  readonly nodes: readonly ReportNode[];
  readonly best: ReportNode | undefined;
  /** From the root to the best node by first parents. */
  readonly lineage: readonly ReportNode[];
  /** Best fitness against what was spent, of all nodes. */
  readonly curve: Curve;
  /** The run's control, where one was opened. */
  readonly control: { readonly overview: RunOverview; readonly curve: Curve } | undefined;
  /** Nodes that did not pass, of all nodes. */
  readonly failures: readonly FailureGroup[];
  readonly roofs: Roofs | undefined;
  /** Work of one call by workload, for the roofline. */
  readonly costs: ReadonlyMap<string, { readonly flops: number; readonly bytes: number }>;
  readonly generatedAt: string;
  /** What a reader must know about what is missing. */
  readonly notes: readonly string[];
}

export function outcomeOf(node: Node): Outcome {
  if (node.verdict === "passed") return node.fitness > 0 ? "credited" : "uncredited";
  if (node.status === "infrastructure_error" || node.status === "unsupported") return "void";
  return node.verdict;
}

export const OUTCOMES: Readonly<Record<Outcome, { readonly label: string; readonly meaning: string }>> = {
  credited: { label: "faster", meaning: "correct, and faster than the baseline beyond the noise" },
  uncredited: { label: "correct", meaning: "correct, but no speedup is credited" },
  flagged: { label: "flagged", meaning: "needs review; its speed is not credited" },
  rejected: { label: "rejected", meaning: "wrong, failed or tampering" },
  void: { label: "not judged", meaning: "the machinery failed; nothing is held against the kernel" },
};

/** In the order of a legend. */
export const OUTCOME_ORDER: readonly Outcome[] = ["credited", "uncredited", "flagged", "rejected", "void"];

/** The nodes of a long run that a report shows: improvements, the best and its lineage, the best of the rest, then every k-th. */
export function chooseShown(
  nodes: readonly Node[],
  best: Node | null,
  limit: number = MAX_SHOWN_NODES,
): Node[] {
  if (nodes.length <= limit) return [...nodes];
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const chosen = new Map<string, Node>();
  const choose = (node: Node | undefined): void => {
    // A node is drawn with its first lineage, else its edges would point nowhere.
    for (
      let at = node;
      at !== undefined && !chosen.has(at.id) && chosen.size < limit;
      at = byId.get(at.parents[0] ?? "")
    ) {
      chosen.set(at.id, at);
    }
  };
  if (best !== null) choose(byId.get(best.id));
  let top = 0;
  for (const node of nodes) {
    if (node.fitness <= top) continue;
    top = node.fitness;
    choose(node);
  }
  for (const node of [...nodes].sort((a, b) => b.fitness - a.fitness).slice(0, limit / 4)) choose(node);
  const stride = Math.ceil(nodes.length / (limit / 2));
  for (let index = 0; index < nodes.length; index += stride) choose(nodes[index]);
  return [...chosen.values()].sort((a, b) => a.step - b.step);
}

/** First-parent lineage of `end`, root first. */
export function lineageOf(end: ReportNode, byId: ReadonlyMap<string, ReportNode>): ReportNode[] {
  const out: ReportNode[] = [];
  const seen = new Set<string>();
  for (
    let at: ReportNode | undefined = end;
    at !== undefined && !seen.has(at.node.id);
    at = byId.get(at.node.parents[0] ?? "")
  ) {
    seen.add(at.node.id);
    out.push(at);
  }
  return out.reverse();
}

/** The best node's speedups over all workloads, that over the run's own baseline first. */
export function overallSpeedups(model: ReportModel): Speedup[] {
  const { baseline } = model.overview.run;
  return (model.best?.record.speedups ?? [])
    .filter((speedup) => speedup.workload === undefined)
    .sort((a, b) => Number(b.baseline === baseline) - Number(a.baseline === baseline));
}
