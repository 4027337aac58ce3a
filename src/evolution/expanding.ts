import type { EvaluationRecord } from "../domain/evaluation.ts";
import type { Problem } from "../domain/problem.ts";
import { quoteInline } from "../domain/quotation.ts";
import type { Claim, Node, Run } from "../domain/run.ts";
import type { RunOverview } from "../domain/services.ts";
import type { TargetSpec } from "../domain/target.ts";
import { shortDiff } from "./changes.ts";
import type { EvolutionDependencies } from "./dependencies.ts";
import { duplicateKey } from "./normalise.ts";
import { speedupText } from "./operator/format.ts";
import { diagnosisFor, type ParentContext, type RepairContext } from "./operator/memory.ts";
import { type PriorKernel, type Prompt, synthesisePrompt } from "./operator/prompt.ts";
import { randomFrom } from "./random.ts";
import { CONTROL_POLICIES } from "./starting.ts";

/** Generations of history and children of a parent that a prompt may speak of. */
const HISTORY = 40;
const CHILDREN = 60;
const DRAFTS = 12;
/** Ancestors whose other children are told of when they failed, the newest, and how many of each. */
const NEAR = 3;
const RELATIVES = 20;
const REPAIRS = 2;
/** Earlier kernels that one prompt shows, and the nearest ones among which they are drawn. */
const KERNELS = 2;
const KERNELS_DRAWN_FROM = 4;

/** A parent with its source, record, lineage and children. Indexed look-ups only. */
export async function parentContext(deps: EvolutionDependencies, node: Node): Promise<ParentContext> {
  const { graph } = deps;
  const ancestors = graph.ancestors(node.id, HISTORY).reverse();
  const line = new Set([node.id, ...ancestors.map((ancestor) => ancestor.id)]);
  return {
    node,
    source: graph.source(node.candidate) ?? "",
    record: await deps.evaluations.get(node.evaluation),
    ancestors,
    children: graph.children(node.id, CHILDREN),
    relatives: ancestors
      .slice(-NEAR)
      .flatMap((ancestor) => graph.children(ancestor.id, RELATIVES))
      .filter((child) => child.verdict === "rejected" && !line.has(child.id)),
    repairs: repairs(deps, node),
  };
}

/** How the error of a failed node was repaired before. */
function repairs({ graph }: EvolutionDependencies, node: Node): RepairContext[] {
  const signature = node.verdict === "passed" ? undefined : graph.signature(node.id);
  const run = signature === undefined ? undefined : graph.run(node.run);
  if (signature === undefined || run === undefined) return [];
  return graph
    .repairs(signature, run.abstraction, run.problem, REPAIRS + 1)
    .filter(({ failed }) => failed.id !== node.id)
    .slice(0, REPAIRS)
    .map(({ failed, repair }) => ({
      failed,
      repair,
      diff: shortDiff(graph.source(failed.candidate) ?? "", graph.source(repair.candidate) ?? ""),
    }));
}

/**
 * Earlier kernels for a claim that drew them: two of the nearest, in an order drawn from the run's seed and the claim's
 * place. Those that the run has as nodes anyway (its own seeds, its own remembered best) are left out.
 */
async function priorKernels(
  deps: EvolutionDependencies,
  input: {
    readonly run: Run;
    readonly problem: Problem;
    readonly target: TargetSpec;
    readonly ordinal: number;
  },
): Promise<PriorKernel[]> {
  const { run, problem, target, ordinal } = input;
  const found = await deps.retrieveKernels?.({ target, abstraction: run.abstraction, problem });
  const others = (found ?? [])
    .filter((kernel) => deps.graph.twin(run.id, duplicateKey(kernel.source, run.abstraction)) === undefined)
    .slice(0, KERNELS_DRAWN_FROM);
  const random = randomFrom(run.seed, "which kernels", ordinal);
  return others
    .map((kernel) => ({ kernel, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .slice(0, KERNELS)
    .map(({ kernel }) => kernel);
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
    /** Claims that the run had given before this one. */
    readonly ordinal: number;
  },
): Promise<Prompt> {
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
          lessons: !CONTROL_POLICIES.has(run.policy),
        });
  const { best } = overview;
  return synthesisePrompt({
    run,
    claim,
    problem,
    target,
    prototype: deps.problems.prototype(problem, run.abstraction, target.run?.harness),
    parents,
    memory: claim.memory ?? "both",
    documents,
    kernels:
      claim.prior === true ? await priorKernels(deps, { run, problem, target, ordinal: input.ordinal }) : [],
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
