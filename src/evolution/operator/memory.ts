import type { Diagnosis, EvaluationRecord } from "../../domain/evaluation.ts";
import type { Node } from "../../domain/run.ts";
import { durationText, figure, outcomeText, speedupText } from "./format.ts";
import { quoteInline, quoteUntrusted } from "./quote.ts";
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
 * The context-memory report on one parent, within `tokens`: how it did and why (bottleneck with evidence), where time
 * goes per workload, the history of its lineage, what failed from here and must not be tried again, and what was deferred.
 */
export function memoryReport(parent: ParentContext, tokens: number): string {
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
  add(results(parent.record));
  add(failure(parent, Math.floor(left * 0.5)));
  add(bottleneck(parent));
  add(workloads(parent.record));
  add(section("Must not be tried again (failed from here):", failures(parent), Math.floor(left * 0.5)));
  add(section("Tried from here without a gain:", withoutGain(parent), Math.floor(left * 0.4)));
  add(section("History of this lineage, oldest first:", history(parent), Math.floor(left * 0.8)));
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
  const [first, ...deferred] = diagnosis.advice;
  const lines = [`Bottleneck: ${diagnosis.bottleneck}${whose}. Evidence: ${diagnosis.evidence}`];
  if (first !== undefined) lines.push(`Address first: ${first}`);
  if (deferred.length > 0) lines.push(`Deferred until that is done: ${deferred.join("; ")}`);
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
function failures(parent: ParentContext): string[] {
  const seen = new Map<string, { line: string; count: number }>();
  for (const child of parent.children.toReversed()) {
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
