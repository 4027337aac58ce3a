import type { Diagnosis, EvaluationRecord } from "../../domain/evaluation.ts";
import { quoteInline } from "../../domain/quotation.ts";
import type { MemoryMode, Node } from "../../domain/run.ts";
import { durationText, figure, outcomeText, speedupText } from "./format.ts";
import { quoteUntrusted } from "./quote.ts";
import { estimateTokens, fitList, fitText } from "./tokens.ts";

/** A parent with all that is known of it. */
export interface ParentContext {
  readonly node: Node;
  readonly source: string;
  readonly record: EvaluationRecord;
  /** From the root of the lineage to the parent's own parent. */
  readonly ancestors: readonly Node[];
  /** Children that the parent already has, oldest first. */
  readonly children: readonly Node[];
  /** Failed children of its nearest ancestors, outside its own line. */
  readonly relatives: readonly Node[];
  /** For a failed parent: how the same error was repaired before, in this run or another. */
  readonly repairs: readonly RepairContext[];
}

/** A failure with the parent's error signature, and the first descendant of it that passed. */
export interface RepairContext {
  readonly failed: Node;
  readonly repair: Node;
  /** Differences between their sources, short. */
  readonly diff: string;
}

/** The diagnosis to work from, and the node it was made on: the parent, or its nearest profiled ancestor. */
export function diagnosisFor(parent: ParentContext): { diagnosis: Diagnosis; node: Node } | undefined {
  const own = parent.record.stages.profile?.diagnosis ?? parent.node.diagnosis;
  if (own !== undefined) return { diagnosis: own, node: parent.node };
  for (const node of parent.ancestors.toReversed()) {
    if (node.diagnosis !== undefined) return { diagnosis: node.diagnosis, node };
  }
  return undefined;
}

/**
 * The context-memory report on one parent, within `tokens`. Of the parent itself: how it did and why (bottleneck with
 * evidence), repairs of the same error, where time goes per workload, the history of its lineage, what was deferred. Of its
 * other children: what failed and must not be tried again, what gained and what did not. `mode` says which of the two.
 */
export function memoryReport(parent: ParentContext, tokens: number, mode: MemoryMode): string {
  if (mode === "none") return "Memory: none. What was tried and found before is withheld, for a clean start.";
  const own = mode !== "siblings";
  const siblings = mode !== "parent";
  let left = tokens;
  const out: string[] = [];
  const add = (text: string): void => {
    if (text === "" || estimateTokens(text) > left) return;
    out.push(text);
    left -= estimateTokens(text) + 1;
  };
  add(
    `Node ${parent.node.id} (step ${parent.node.step}, ${parent.node.operator}): ${outcomeText(parent.node)}.`,
  );
  if (own) {
    add(results(parent.record));
    add(failure(parent, Math.floor(left * 0.5)));
    for (const repair of parent.repairs) add(repairText(repair, Math.floor(left * 0.4)));
    add(bottleneck(parent));
    add(workloads(parent.record));
  }
  if (siblings) {
    const failed = [...failures(parent.children), ...failures(parent.relatives)];
    add(section("Must not be tried again (failed from here or beside it):", failed, Math.floor(left * 0.5)));
    add(section("Tried from here with a gain:", withGain(parent), Math.floor(left * 0.3)));
    add(section("Tried from here without a gain:", withoutGain(parent), Math.floor(left * 0.4)));
  }
  add(section("Deferred ideas, not tried yet:", deferred(parent, own, siblings), Math.floor(left * 0.4)));
  if (own) add(section("History of this lineage, oldest first:", history(parent), Math.floor(left * 0.8)));
  return out.join("\n");
}

function section(title: string, lines: readonly string[], tokens: number): string {
  const kept = fitList(lines, tokens);
  return kept.length === 0 ? "" : `${title}\n${kept.map((line) => `- ${line}`).join("\n")}`;
}

function results(record: EvaluationRecord): string {
  const parts = record.speedups.filter((speedup) => speedup.workload === undefined).map(speedupText);
  if (record.roofline !== undefined) parts.push(`${figure(record.roofline * 100)} % of the roofline`);
  return parts.length === 0 ? "" : `Measured: ${parts.join("; ")}.`;
}

function bottleneck(parent: ParentContext): string {
  const found = diagnosisFor(parent);
  if (found === undefined) return "Bottleneck: not profiled yet.";
  const { diagnosis, node } = found;
  const whose = node.id === parent.node.id ? "" : ` (profiled on its ancestor ${node.id}, step ${node.step})`;
  const [first, ...later] = diagnosis.advice;
  const lines = [`Bottleneck: ${diagnosis.bottleneck}${whose}. Evidence: ${diagnosis.evidence}`];
  if (first !== undefined) lines.push(`Address first: ${first}`);
  if (later.length > 0) lines.push(`Deferred until that is done: ${later.join("; ")}`);
  return lines.join("\n");
}

/** The workloads that gain least, since the geometric mean moves most there. */
function workloads(record: EvaluationRecord): string {
  const rows = (record.stages.benchmark?.workloads ?? []).flatMap((entry) => {
    const ratios = entry.speedups.map((speedup) => speedup.ratio);
    if (ratios.length === 0) return [];
    const share = entry.roofline === undefined ? "" : `, ${figure(entry.roofline * 100)} % of the roofline`;
    const text = `${entry.workload}: ${durationText(entry.candidate.median_ns)}, ${entry.speedups.map(speedupText).join("; ")}${share}`;
    return [{ ratio: Math.min(...ratios), text }];
  });
  if (rows.length < 2) return "";
  const worst = rows.sort((a, b) => a.ratio - b.ratio).slice(0, 4);
  return `Workloads with the least gain (of ${rows.length}):\n${worst.map((row) => `- ${row.text}`).join("\n")}`;
}

/** Why a failed parent failed, with the compiler's own words quoted. */
function failure(parent: ParentContext, tokens: number): string {
  const { node, record } = parent;
  if (node.verdict === "passed") return "";
  const reasons = fitList(
    node.reasons.map(
      (reason) =>
        `${reason.code}${reason.workload === undefined ? "" : ` on ${reason.workload}`}: ${quoteInline(reason.message, 400)}`,
    ),
    Math.floor(tokens * 0.4),
  );
  const lines = [`It failed (${node.status.replaceAll("_", " ")}):`, ...reasons.map((line) => `- ${line}`)];
  const diagnostics = record.stages.compile?.diagnostics;
  if (node.status === "compile_error" && diagnostics !== undefined && diagnostics !== "") {
    lines.push(quoteUntrusted("compiler output", fitText(diagnostics, Math.floor(tokens * 0.5))));
  }
  return lines.join("\n");
}

function history(parent: ParentContext): string[] {
  return [...parent.ancestors, parent.node].map(
    (node) => `step ${node.step}, ${node.operator}: ${outcomeText(node)} — ${quoteInline(node.rationale)}`,
  );
}

/** Failed children, one line for each distinct way of failing, the newest first. */
function failures(nodes: readonly Node[]): string[] {
  const seen = new Map<string, { line: string; count: number }>();
  for (const child of nodes.toReversed()) {
    if (child.verdict === "passed" || child.status === "infrastructure_error") continue;
    const reason = child.reasons[0];
    const key = `${child.status}|${reason?.code ?? ""}|${child.rationale}`;
    const known = seen.get(key);
    if (known !== undefined) {
      known.count += 1;
      continue;
    }
    const why = reason === undefined ? "" : `; ${reason.code}: ${quoteInline(reason.message, 160)}`;
    seen.set(key, {
      line: `${quoteInline(child.rationale)} → ${child.status.replaceAll("_", " ")}${why}`,
      count: 1,
    });
  }
  return [...seen.values()].map(({ line, count }) => (count === 1 ? line : `${line} (${count} times)`));
}

/** How one repair of the same error went: the node that failed, what was changed, and what came of it. */
function repairText({ failed, repair, diff }: RepairContext, tokens: number): string {
  const line = `The same error was repaired before: node ${failed.id} of run ${failed.run} failed so, node ${repair.id} passed (${outcomeText(repair)}): ${quoteInline(repair.rationale)}`;
  const room = tokens - estimateTokens(line) - 30;
  const shown = room < 40 ? "" : fitText(diff, room);
  return shown === ""
    ? line
    : `${line}\n${quoteUntrusted(`difference from ${failed.id} to ${repair.id}`, shown)}`;
}

/** Ideas that proposers put off: the newest of the lineage first, then those of the parent's other children. */
function deferred(parent: ParentContext, own: boolean, siblings: boolean): string[] {
  const nodes = [
    ...(own ? [...parent.ancestors, parent.node].toReversed() : []),
    ...(siblings ? parent.children.toReversed() : []),
  ];
  const lines = nodes.flatMap((node) =>
    (node.deferred ?? []).map((idea) => `${quoteInline(idea)} (at node ${node.id}, step ${node.step})`),
  );
  return [...new Set(lines)];
}

/** Passed children that were better than the parent, the best first. */
function withGain(parent: ParentContext): string[] {
  return parent.children
    .filter((child) => child.verdict === "passed" && child.fitness > parent.node.fitness)
    .sort((a, b) => b.fitness - a.fitness)
    .map((child) => `${quoteInline(child.rationale)} → node ${child.id}, ${outcomeText(child)}`);
}

/** Passed children that were not better than the parent, the nearest miss first. */
function withoutGain(parent: ParentContext): string[] {
  const bound = Math.max(parent.node.fitness, parent.node.speedup?.ratio ?? 0);
  return parent.children
    .flatMap((child) =>
      child.verdict === "passed" && child.speedup !== undefined && child.speedup.ratio <= bound
        ? [{ ratio: child.speedup.ratio, line: `${quoteInline(child.rationale)} → ${outcomeText(child)}` }]
        : [],
    )
    .sort((a, b) => b.ratio - a.ratio)
    .map(({ line }) => line);
}
