import type { Diagnosis } from "../../domain/evaluation.ts";
import type { Problem } from "../../domain/problem.ts";
import type { Claim, Run } from "../../domain/run.ts";
import type { BudgetLeft } from "../../domain/services.ts";
import type { TargetSpec } from "../../domain/target.ts";
import { contractText, hardwareText, problemText } from "./contract.ts";
import { figure, outcomeText, secondsText } from "./format.ts";
import { diagnosisFor, memoryReport, type ParentContext } from "./memory.ts";
import { quoteUntrusted, UNTRUSTED_NOTICE } from "./quote.ts";
import { estimateTokens, fitList, fitText } from "./tokens.ts";

/** A document, or a section of one, for the proposer to read. Without text only its title is shown. */
export interface RetrievedDocument {
  readonly id: string;
  readonly title: string;
  readonly text?: string;
}

/** Finds documents for a diagnosis. Injected: the operator does not know the knowledge base. */
export type Retrieve = (query: {
  readonly target: TargetSpec;
  readonly abstraction: string;
  readonly problem: Problem;
  readonly diagnosis: Diagnosis | undefined;
}) => Promise<readonly RetrievedDocument[]>;

export const DEFAULT_TOKEN_BUDGET = 12_000;
/** Below this not even the contract and the task fit. */
export const MIN_TOKEN_BUDGET = 1_000;

export interface PromptInput {
  readonly run: Run;
  readonly claim: Pick<Claim, "id" | "phase" | "expires_at">;
  readonly problem: Problem;
  readonly target: TargetSpec;
  readonly prototype: string;
  readonly parents: readonly ParentContext[];
  readonly documents: readonly RetrievedDocument[];
  readonly best: { readonly text: string } | undefined;
  readonly left: BudgetLeft;
  /** Failures among the drafts, for a proposer that starts from nothing. */
  readonly failedDrafts: readonly string[];
  readonly tokenBudget: number;
}

/**
 * The universal operator's first form: one prompt for drafting, improving, repairing and crossing, synthesised in a fixed
 * order: context-memory report, documents, hardware constraints and output contract, task. Never over the token budget:
 * task, contract and sources come first when tokens are shared out, then the report, then documents.
 */
export function synthesisePrompt(input: PromptInput): string {
  const task = `# Task\n${taskText(input)}`;
  const contract = `# Output contract\n${contractText({ prototype: input.prototype, target: input.target, abstraction: input.run.abstraction })}`;
  let left =
    input.tokenBudget -
    estimateTokens(task) -
    estimateTokens(contract) -
    estimateTokens(UNTRUSTED_NOTICE) -
    40;
  const take = (text: string): string => {
    if (text === "" || estimateTokens(text) + 2 > left) return "";
    left -= estimateTokens(text) + 2;
    return text;
  };
  const shared = Math.max(0, left);
  const sources = input.parents.map((parent) =>
    take(sourceText(parent, Math.floor((shared * 0.6) / Math.max(1, input.parents.length)))),
  );
  const problem = take(fitText(`# Problem\n${problemText(input.problem)}`, Math.floor(left * 0.4)));
  const hardware = take(fitText(`# Hardware\n${hardwareText(input.target)}`, Math.floor(left * 0.4)));
  const report = take(reportText(input, Math.floor(left * (input.documents.length === 0 ? 1 : 0.6))));
  const documents = take(documentsText(input.documents, left - 4));
  return [report, ...sources, documents, problem, hardware, contract, UNTRUSTED_NOTICE, task]
    .filter((part) => part !== "")
    .join("\n\n");
}

function sourceText(parent: ParentContext, tokens: number): string {
  const label = `source of node ${parent.node.id} (step ${parent.node.step}; ${outcomeText(parent.node)})`;
  const room = tokens - estimateTokens(label) - 24;
  return quoteUntrusted(label, fitText(parent.source, room));
}

function reportText(input: PromptInput, tokens: number): string {
  const head = ["# Context-memory report"];
  if (input.best !== undefined) head.push(`Best of the run so far: ${input.best.text}.`);
  const bounds = leftText(input.left);
  if (bounds !== "") head.push(`Left of the budget: ${bounds}.`);
  const room = tokens - estimateTokens(head.join("\n"));
  const each = Math.floor(room / Math.max(1, input.parents.length));
  const body = input.parents.map((parent) => memoryReport(parent, each));
  if (input.parents.length === 0) {
    const failed = fitList(input.failedDrafts, room - 30);
    body.push(
      failed.length === 0
        ? "No parent: this is an independent draft."
        : `No parent: this is an independent draft. Earlier drafts that failed, not to be tried again:\n${failed.map((line) => `- ${line}`).join("\n")}`,
    );
  }
  return [...head, ...body].join("\n");
}

function documentsText(documents: readonly RetrievedDocument[], tokens: number): string {
  if (documents.length === 0) return "";
  const head = "# Documents for this diagnosis (cite by id)";
  let left = tokens - estimateTokens(head);
  const out: string[] = [];
  for (const document of documents) {
    const title = `[${document.id}] ${document.title}`;
    const full = document.text === undefined ? title : `${title}\n${document.text}`;
    const text = estimateTokens(full) + 2 <= left ? full : title;
    if (estimateTokens(text) + 2 > left) break;
    out.push(text);
    left -= estimateTokens(text) + 2;
  }
  return out.length === 0 ? "" : [head, ...out].join("\n\n");
}

/** `12 nodes, 3 min 5 s, 40 s of device time, 8 nodes to a stall`; empty when nothing bounds the run. */
export function leftText(left: BudgetLeft): string {
  const parts: string[] = [];
  if (left.nodes !== undefined) parts.push(`${left.nodes} nodes`);
  if (left.seconds !== undefined) parts.push(secondsText(left.seconds));
  if (left.device_seconds !== undefined) parts.push(`${secondsText(left.device_seconds)} of device time`);
  if (left.tokens !== undefined) parts.push(`${left.tokens} tokens`);
  if (left.cost !== undefined) parts.push(`cost ${figure(left.cost)}`);
  if (left.stall !== undefined)
    parts.push(`${left.stall} nodes without a gain until the run counts as stalled`);
  return parts.join(", ");
}

function taskText(input: PromptInput): string {
  const { claim, parents, run } = input;
  const [first, second] = parents;
  const end = [
    `Hand it in with evolve_submit: run ${run.id}, claim ${claim.id} (valid until ${claim.expires_at}), the source, and a rationale of one line that names what changed and why.`,
    `Fitness is the credited speedup over the baseline \`${run.baseline}\`; a wrong, failing or tampering kernel scores 0. Do not special-case the shown workloads: hidden sizes and values are checked.`,
  ].join("\n");
  if (first === undefined) {
    return `Write a kernel for ${input.problem.definition.name} on ${input.target.id}, in ${run.abstraction}, from nothing. Choose an approach of your own: other proposers draft independently.\n${end}`;
  }
  if (second !== undefined) {
    return `Combine nodes ${first.node.id} and ${second.node.id} into one kernel that keeps what makes each fast. Do not place one beside the other: take structure from the faster, and from the other what it does better.\n${end}`;
  }
  if (first.node.verdict !== "passed") {
    return `Repair node ${first.node.id}. Find the cause in the report above, change what is needed for a correct answer and no more, and keep its idea. If the idea itself cannot work, say so in the rationale and hand in the nearest one that can.\n${end}`;
  }
  const found = diagnosisFor(first);
  const aim = found === undefined ? "" : ` Address its bottleneck (${found.diagnosis.bottleneck}) first.`;
  return `Make node ${first.node.id} faster than its ${figure(first.node.speedup?.ratio ?? 1)}×.${aim} Make one considered change of structure rather than many small ones; sizes are better left to tunables.\n${end}`;
}
