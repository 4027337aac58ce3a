import { visible } from "../../domain/quotation.ts";
import { diffLines } from "../diff.ts";
import { durationText, figure, outcomeText, secondsText, speedupText } from "../operator/format.ts";
import { OUTCOMES, type ReportModel, type ReportNode } from "./model.ts";

/** A difference as numbers and lines: n > 0 keeps n lines, n < 0 drops -n lines, a list inserts its lines. */
type Patch = (number | readonly string[])[];

/** What the page's script knows of one node. Names are short because a run may have thousands. */
interface NodeData {
  readonly id: string;
  readonly step: number;
  readonly op: string;
  readonly out: string;
  readonly label: string;
  readonly sum: string;
  readonly why: string;
  readonly fit: number;
  readonly parents: readonly string[];
  /** The source in full, or base node and patch: most children change a few lines. */
  readonly s?: string;
  readonly b?: number;
  readonly p?: Patch;
  readonly facts: readonly (readonly [string, string])[];
  readonly work: readonly (readonly string[])[];
  readonly text?: string;
}

/** Everything the interactive part shows, as plain data. All of it is untrusted text and stays data in the page. */
export function pageData(model: ReportModel): { best: number; nodes: NodeData[] } {
  const index = new Map(model.nodes.map((entry, at) => [entry.node.id, at]));
  return {
    best: model.best === undefined ? -1 : (index.get(model.best.node.id) ?? -1),
    nodes: model.nodes.map((entry) => nodeData(entry, model, index)),
  };
}

function nodeData(entry: ReportNode, model: ReportModel, index: ReadonlyMap<string, number>): NodeData {
  const { node, record } = entry;
  const base = node.parents[0] === undefined ? undefined : index.get(node.parents[0]);
  const parent = base === undefined ? undefined : model.nodes[base];
  const diagnostics = record.stages.compile?.diagnostics;
  return {
    id: node.id,
    step: node.step,
    op: node.operator,
    out: entry.outcome,
    label: OUTCOMES[entry.outcome].label,
    sum: outcomeText(node),
    why: visible(node.rationale),
    fit: node.fitness,
    parents: node.parents,
    ...(base === undefined || parent === undefined
      ? { s: visible(entry.source) }
      : { b: base, p: patchOf(visible(parent.source), visible(entry.source)) }),
    facts: facts(entry),
    work: workloadRows(entry),
    ...(diagnostics === undefined || diagnostics === "" ? {} : { text: visible(diagnostics.slice(0, 4000)) }),
  };
}

function patchOf(before: string, after: string): Patch {
  return diffLines(before, after).map((hunk) =>
    hunk.kind === "add" ? hunk.lines : hunk.kind === "del" ? -hunk.lines.length : hunk.lines.length,
  );
}

function facts({ node, record }: ReportNode): [string, string][] {
  const rows: [string, string][] = [["Verdict", `${node.verdict} (${node.status.replaceAll("_", " ")})`]];
  for (const speedup of record.speedups)
    if (speedup.workload === undefined) rows.push(["Speedup", speedupText(speedup)]);
  if (node.roofline !== undefined) rows.push(["Roofline", `${figure(node.roofline * 100)} %`]);
  if (node.diagnosis !== undefined)
    rows.push(["Bottleneck", `${node.diagnosis.bottleneck}: ${visible(node.diagnosis.evidence)}`]);
  for (const reason of node.reasons.slice(0, 8)) {
    rows.push([
      `Reason: ${reason.code}`,
      visible(`${reason.workload === undefined ? "" : `${reason.workload}: `}${reason.message}`),
    ]);
  }
  rows.push(["Proposer", visible(node.proposer)], ["Device time", secondsText(node.device_seconds)]);
  if (node.commit !== undefined) rows.push(["Commit", node.commit]);
  rows.push(
    ["Node", node.id],
    ["Evaluation", node.evaluation],
    ["Source sha256", node.candidate],
    ["Time", node.created_at],
  );
  return rows;
}

function workloadRows({ record }: ReportNode): string[][] {
  return (record.stages.benchmark?.workloads ?? []).map((entry) => [
    entry.workload,
    durationText(entry.candidate.median_ns),
    ...entry.speedups.map(speedupText),
  ]);
}
