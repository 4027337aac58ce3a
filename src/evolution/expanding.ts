import type { EvaluationRecord } from "../domain/evaluation.ts";
import type { Claim, Node, Run } from "../domain/run.ts";
import type { RunOverview } from "../domain/services.ts";
import type { EvolutionDependencies } from "./dependencies.ts";
import { speedupText } from "./operator/format.ts";
import { diagnosisFor, type ParentContext } from "./operator/memory.ts";
import { synthesisePrompt } from "./operator/prompt.ts";
import { quoteInline } from "./operator/quote.ts";

/** Generations of history and children of a parent that a prompt may speak of. */
const HISTORY = 40;
const CHILDREN = 60;
const DRAFTS = 12;

/** A parent with its source, record, lineage and children. Indexed look-ups only. */
export async function parentContext(deps: EvolutionDependencies, node: Node): Promise<ParentContext> {
  return {
    node,
    source: deps.graph.source(node.candidate) ?? "",
    record: await deps.evaluations.get(node.evaluation),
    ancestors: deps.graph.ancestors(node.id, HISTORY).reverse(),
    children: deps.graph.children(node.id, CHILDREN),
  };
}

/** Collects what the universal operator needs for one claim, and lets it write the prompt. */
export async function expansionPrompt(
  deps: EvolutionDependencies,
  input: {
    readonly run: Run;
    readonly claim: Claim;
    readonly parents: readonly Node[];
    readonly overview: RunOverview;
    readonly tokenBudget: number;
  },
): Promise<string> {
  const { run, claim, overview } = input;
  const problem = await deps.problems.get(run.problem);
  const target = await deps.targets.get(run.target);
  const parents = await Promise.all(input.parents.map((node) => parentContext(deps, node)));
  const first = parents[0];
  const documents =
    deps.retrieve === undefined
      ? []
      : await deps.retrieve({
          target,
          abstraction: run.abstraction,
          problem,
          diagnosis: first === undefined ? undefined : diagnosisFor(first)?.diagnosis,
        });
  const { best } = overview;
  return synthesisePrompt({
    run,
    claim,
    problem,
    target,
    prototype: deps.problems.prototype(problem, run.abstraction),
    parents,
    documents,
    best: best?.speedup === undefined ? undefined : { text: `node ${best.id}, ${speedupText(best.speedup)}` },
    left: overview.left,
    // Best of N is the control: its drafts are independent, and hear nothing of each other.
    failedDrafts: first === undefined && run.policy !== "best-of-n" ? failedDrafts(deps, run.id) : [],
    tokenBudget: input.tokenBudget,
  });
}

function failedDrafts(deps: EvolutionDependencies, run: string): string[] {
  return deps.graph
    .nodes(run, { verdict: "rejected", limit: DRAFTS, order: "step" })
    .filter((node) => node.parents.length === 0 && node.status !== "infrastructure_error")
    .map((node) => `${quoteInline(node.rationale)} → ${node.status.replaceAll("_", " ")}${reasonText(node)}`);
}

function reasonText(node: Pick<EvaluationRecord, "reasons">): string {
  const reason = node.reasons[0];
  return reason === undefined ? "" : `; ${reason.code}: ${quoteInline(reason.message, 160)}`;
}
