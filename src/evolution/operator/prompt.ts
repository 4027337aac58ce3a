import type { Diagnosis } from "../../domain/evaluation.ts";
import type { Problem } from "../../domain/problem.ts";
import { quoteInline } from "../../domain/quotation.ts";
import type { Claim, MemoryMode, Run } from "../../domain/run.ts";
import type { BudgetLeft } from "../../domain/services.ts";
import type { TargetSpec } from "../../domain/target.ts";
import { counted } from "../../platform/text.ts";
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
  /** Text that a user added: it is quoted. */
  readonly untrusted?: boolean;
}

/** A kernel of an earlier run, or one that ships, for the same kind of operator. */
export interface PriorKernel {
  readonly id: string;
  readonly title: string;
  readonly source: string;
}

/** Kernels known for an operator, shape, data type and target, the nearest first. Injected like `Retrieve`. */
export type RetrieveKernels = (query: {
  readonly target: TargetSpec;
  readonly abstraction: string;
  readonly problem: Problem;
}) => Promise<readonly PriorKernel[]>;

/** Finds documents for a diagnosis. Injected: the operator does not know the knowledge base. */
export type Retrieve = (query: {
  readonly target: TargetSpec;
  readonly abstraction: string;
  readonly problem: Problem;
  readonly diagnosis: Diagnosis | undefined;
  /** Whether what earlier runs taught may be among them: not for the drafts of a control. */
  readonly lessons: boolean;
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
  readonly memory: MemoryMode;
  readonly documents: readonly RetrievedDocument[];
  readonly kernels: readonly PriorKernel[];
  readonly best: { readonly text: string } | undefined;
  readonly left: BudgetLeft;
  /** Failures among the drafts, for a proposer that starts from nothing. */
  readonly failedDrafts: readonly string[];
  readonly tokenBudget: number;
}

/** A prompt, and the ids of what it shows. */
export interface Prompt {
  readonly text: string;
  readonly documents: string[];
  readonly kernels: string[];
}

/**
 * The universal operator: one prompt for drafting, improving, repairing and crossing, synthesised in a fixed order:
 * context-memory report with the parents' sources, documents, prior kernels, hardware constraints and output contract, task.
 * Never over the token budget: task, contract and sources come first when tokens are shared out, then the report, then
 * kernels and documents.
 */
export function synthesisePrompt(input: PromptInput): Prompt {
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
  const others = input.documents.length + input.kernels.length;
  const report = take(reportText(input, Math.floor(left * (others === 0 ? 1 : 0.6))));
  const kernels = kernelsText(input.kernels, Math.floor(left * (input.documents.length === 0 ? 1 : 0.5)) - 4);
  const kernelPart = take(kernels.text);
  const documents = documentsText(input.documents, left - 4);
  const documentPart = take(documents.text);
  const parts = [
    report,
    ...sources,
    documentPart,
    kernelPart,
    problem,
    hardware,
    contract,
    UNTRUSTED_NOTICE,
    task,
  ];
  return {
    text: parts.filter((part) => part !== "").join("\n\n"),
    documents: documentPart === "" ? [] : documents.ids,
    kernels: kernelPart === "" ? [] : kernels.ids,
  };
}

function sourceText(parent: ParentContext, tokens: number): string {
  const label = `source of node ${parent.node.id} (step ${parent.node.step}; ${outcomeText(parent.node)})`;
  const room = tokens - estimateTokens(label) - 24;
  return quoteUntrusted(label, fitText(parent.source, room));
}

function reportText(input: PromptInput, tokens: number): string {
  const head = ["# Context-memory report"];
  if (input.best !== undefined && input.memory !== "none")
    head.push(`Best of the run so far: ${input.best.text}.`);
  const bounds = leftText(input.left);
  if (bounds !== "") head.push(`Left of the budget: ${bounds}.`);
  const room = tokens - estimateTokens(head.join("\n"));
  const each = Math.floor(room / Math.max(1, input.parents.length));
  const body = input.parents.map((parent) => memoryReport(parent, each, input.memory));
  if (input.parents.length === 0) {
    const told = input.memory === "both" || input.memory === "siblings";
    const failed = told ? fitList(input.failedDrafts, room - 30) : [];
    body.push(
      failed.length === 0
        ? "No parent: this is an independent draft."
        : `No parent: this is an independent draft. Earlier drafts that failed, not to be tried again:\n${failed.map((line) => `- ${line}`).join("\n")}`,
    );
  }
  return [...head, ...body].join("\n");
}

/** A part of the prompt, and what of the offered is in it. */
interface Cited {
  readonly text: string;
  readonly ids: string[];
}

/** Whole kernels where they fit, cut in the middle where one alone does not; each quoted. */
function kernelsText(kernels: readonly PriorKernel[], tokens: number): Cited {
  const head =
    "# Prior kernels for this kind of operator (cite by id; written for other sizes or machines, so take ideas, not sizes)";
  let left = tokens - estimateTokens(head);
  const out: string[] = [];
  const ids: string[] = [];
  for (const kernel of kernels) {
    const label = `[${kernel.id}] ${kernel.title}`;
    const room = left - 2 * estimateTokens(label) - 40;
    const whole = estimateTokens(kernel.source) <= room;
    if (room < 100 || (!whole && ids.length > 0)) continue;
    const text = `${quoteInline(label, 300)}\n${quoteUntrusted(`kernel ${kernel.id}`, fitText(kernel.source, room))}`;
    if (estimateTokens(text) + 2 > left) continue;
    out.push(text);
    ids.push(kernel.id);
    left -= estimateTokens(text) + 2;
  }
  return out.length === 0 ? { text: "", ids } : { text: [head, ...out].join("\n\n"), ids };
}

function documentsText(documents: readonly RetrievedDocument[], tokens: number): Cited {
  const ids: string[] = [];
  if (documents.length === 0) return { text: "", ids };
  const head = "# Documents for this diagnosis (cite by id)";
  let left = tokens - estimateTokens(head);
  const out: string[] = [];
  for (const document of documents) {
    const named = document.untrusted === true ? quoteInline(document.title) : document.title;
    const title = `[${document.id}] ${named}`;
    const body =
      document.text === undefined || document.untrusted !== true
        ? document.text
        : quoteUntrusted(`document ${document.id}`, document.text);
    const full = body === undefined ? title : `${title}\n${body}`;
    const text = estimateTokens(full) + 2 <= left ? full : title;
    if (estimateTokens(text) + 2 > left) break;
    out.push(text);
    ids.push(document.id);
    left -= estimateTokens(text) + 2;
  }
  return { text: out.length === 0 ? "" : [head, ...out].join("\n\n"), ids };
}

/** `12 nodes, 3 min 5 s, 40 s of device time, 8 nodes to a stall`; empty when nothing bounds the run. */
export function leftText(left: BudgetLeft): string {
  const parts: string[] = [];
  if (left.nodes !== undefined) parts.push(counted(left.nodes, "node"));
  if (left.seconds !== undefined) parts.push(secondsText(left.seconds));
  if (left.device_seconds !== undefined) parts.push(`${secondsText(left.device_seconds)} of device time`);
  if (left.tokens !== undefined) parts.push(`${left.tokens} tokens`);
  if (left.cost !== undefined) parts.push(`cost ${figure(left.cost)}`);
  if (left.stall !== undefined)
    parts.push(`${counted(left.stall, "node")} without a gain until the run counts as stalled`);
  return parts.join(", ");
}

function taskText(input: PromptInput): string {
  const { claim, parents, run } = input;
  const [first, second] = parents;
  const end = [
    `Hand it in with evolve_submit: run ${run.id}, claim ${claim.id} (valid until ${claim.expires_at}), the source, a rationale of one line that names what changed and why, and in deferred any idea worth trying later.`,
    `Fitness is the credited speedup over the baseline \`${run.baseline}\`; a wrong, failing or tampering kernel scores 0. Do not special-case the shown workloads: hidden sizes and values are checked.`,
  ].join("\n");
  if (first === undefined) {
    return `Write a kernel for ${input.problem.definition.name} on ${input.target.id}, in ${run.abstraction}, from nothing. Choose an approach of your own: other proposers draft independently.\n${end}`;
  }
  if (second !== undefined) {
    return `Combine nodes ${first.node.id} and ${second.node.id} into one kernel that keeps what makes each fast. Do not place one beside the other: take structure from the faster, and from the other what it does better.\n${end}`;
  }
  if (first.node.verdict !== "passed") {
    return `Repair node ${first.node.id}. Find the cause, change what is needed for a correct answer and no more, and keep its idea. If the idea itself cannot work, say so in the rationale and hand in the nearest one that can.\n${end}`;
  }
  const found = diagnosisFor(first);
  const aim =
    found === undefined || input.memory === "siblings" || input.memory === "none"
      ? ""
      : ` Address its bottleneck (${found.diagnosis.bottleneck}) first.`;
  return `Make node ${first.node.id} faster than its ${figure(first.node.speedup?.ratio ?? 1)}×.${aim} Make one considered change of structure rather than many small ones; sizes are better left to tunables.\n${end}`;
}
