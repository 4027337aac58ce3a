import { visible } from "../../domain/quotation.ts";
import type { Node } from "../../domain/run.ts";
import { counted } from "../../platform/text.ts";
import { diffLines } from "../diff.ts";
import { durationText, figure, outcomeText, secondsText, speedupText } from "../operator/format.ts";
import { COMPARISON_NOTE, comparison } from "./comparison.ts";
import { bestAt } from "./curve.ts";
import { overallSpeedups, type ReportModel } from "./model.ts";

/** Untrusted text in a Markdown line or table cell: no markup of it survives. */
export function escapeMarkdown(text: string): string {
  return (
    visible(text)
      .replace(/\s+/g, " ")
      .replace(/&/g, "&amp;")
      .replace(/</g, "&lt;")
      .replace(/[\\`*_{}[\]()#+!|~>]/g, (character) => `\\${character}`)
      // Neither a bare address nor an e-mail address becomes a link.
      .replace(/:\/\//g, ":&#47;&#47;")
      .replace(/@/g, "&#64;")
      .replace(/www\./gi, "www&#46;")
  );
}

/** A fenced block whose fence is longer than any run of backticks in it. */
export function fenced(text: string, language: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((match) => match[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${visible(text).replace(/\n+$/, "")}\n${fence}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [
    `| ${head.join(" | ")} |`,
    `|${head.map(() => " --- |").join("")}`,
    ...rows.map((row) => `| ${row.join(" | ")} |`),
  ].join("\n");
}

/** Rows of the curve's table: evenly spaced counts of evaluations, and the end. */
const CURVE_ROWS = 10;

/** Best so far over evaluations and over cost, with the control's beside it. Empty when nothing was credited. */
function curveTable({ curve, control }: ReportModel): string {
  if (curve.improvements.length + (control?.curve.improvements.length ?? 0) === 0) return "";
  const last = Math.max(curve.spent.nodes, control?.curve.spent.nodes ?? 0);
  const counts = new Set(
    Array.from({ length: CURVE_ROWS }, (_, row) => Math.max(1, Math.round((last * (row + 1)) / CURVE_ROWS))),
  );
  const models = curve.spent.tokens > 0 || curve.spent.cost > 0;
  const shown = (node: Node | undefined): string => (node === undefined ? "–" : outcomeText(node));
  return table(
    [
      "evaluations",
      "best so far",
      "found at",
      "device time then",
      ...(models ? ["tokens then", "cost then"] : []),
      ...(control === undefined ? [] : ["the control's best so far"]),
    ],
    [...counts].map((count) => {
      const at = curve.improvements.findLast((one) => one.nodes <= count);
      return [
        String(count),
        shown(at?.node),
        ...(at === undefined
          ? ["–", "–", ...(models ? ["–", "–"] : [])]
          : [
              `step ${at.node.step}`,
              secondsText(at.device_seconds),
              ...(models ? [String(at.tokens), figure(at.cost)] : []),
            ]),
        ...(control === undefined ? [] : [shown(bestAt(control.curve, "nodes", count))]),
      ];
    }),
  );
}

/** Changed lines of one step that are printed; longer differences are in the page and in the source archive. */
const DIFF_LINES = 80;

/** The best lineage, each step with its result, its reason and what it changed. */
function lineageParts(model: ReportModel): string[] {
  return model.lineage.flatMap((entry, index) => {
    const { node, source } = entry;
    const head = `- step ${node.step}, ${node.operator}: ${outcomeText(node)} — ${escapeMarkdown(node.rationale)}`;
    const before = model.lineage[index - 1];
    if (before === undefined) return [head];
    const changed = diffLines(before.source, source).flatMap((hunk) =>
      hunk.kind === "same" ? [] : hunk.lines.map((line) => `${hunk.kind === "add" ? "+" : "-"} ${line}`),
    );
    if (changed.length === 0) return [head];
    const more = changed.length > DIFF_LINES ? [`… ${changed.length - DIFF_LINES} more changed lines`] : [];
    return [head, fenced([...changed.slice(0, DIFF_LINES), ...more].join("\n"), "diff")];
  });
}

/** The report as Markdown: the same facts as the page, without its pictures. */
export function reportMarkdown(model: ReportModel): string {
  const { overview, best, problem, target } = model;
  const { run, spent } = overview;
  const out: string[] = [`# ${problem.definition.name} on ${target.id}`];
  const main = overallSpeedups(model);
  out.push(
    best === undefined || main.length === 0
      ? `No node was credited with a speedup (${counted(overview.nodes, "node")}, ${overview.passed} passed).`
      : `**${main.map(speedupText).join("; ")}** (95 % intervals)${best.node.roofline === undefined ? "" : `, ${figure(best.node.roofline * 100)} % of the roofline`}.`,
  );
  const budget = [
    `${spent.nodes}${run.budget.nodes === undefined ? "" : ` of ${run.budget.nodes}`} nodes`,
    `${secondsText(spent.seconds)}${run.budget.seconds === undefined ? "" : ` of ${secondsText(run.budget.seconds)}`} of activity`,
    `${secondsText(spent.device_seconds)} of device time`,
  ];
  out.push(
    table(
      ["", ""],
      [
        [
          "Run",
          `\`${run.id}\` (${run.state}${run.stop_reason === undefined ? "" : `; ${escapeMarkdown(run.stop_reason)}`})`,
        ],
        ["Problem", `\`${run.problem}\``],
        ["Target", `${escapeMarkdown(target.title)}, ${run.abstraction}`],
        ["Policy", `${run.policy}, seed ${run.seed}`],
        ["Spent", budget.join(", ")],
        ...(best === undefined
          ? []
          : [
              ["Verdict", `${best.node.verdict}, sandbox ${best.record.sandbox}`],
              ["Device", escapeMarkdown(best.record.device)],
              ["Evaluation", `\`${best.record.id}\``],
            ]),
      ],
    ),
  );
  out.push(...model.notes.map((note) => `> ${escapeMarkdown(note)}`));
  const sentence = comparison(model);
  const search = [...(sentence === undefined ? [] : [`${sentence} ${COMPARISON_NOTE}`]), curveTable(model)];
  if (search.some((part) => part !== ""))
    out.push("## Speedup over the search", ...search.filter((part) => part !== ""));
  const rows = best?.record.stages.benchmark?.workloads ?? [];
  if (rows.length > 0) {
    const names = [...new Set(rows.flatMap((row) => row.speedups.map((speedup) => speedup.baseline)))];
    out.push(
      "## By workload",
      table(
        ["workload", "time", ...names.map((name) => `over ${name}`), "roofline"],
        rows.map((row) => [
          `\`${row.workload}\``,
          durationText(row.candidate.median_ns),
          ...names.map((name) => {
            const speedup = row.speedups.find((one) => one.baseline === name);
            return speedup === undefined
              ? "–"
              : `${figure(speedup.ratio)}× [${figure(speedup.low)}, ${figure(speedup.high)}]`;
          }),
          row.roofline === undefined ? "–" : `${figure(row.roofline * 100)} %`,
        ]),
      ),
    );
  }
  if (model.lineage.length > 0) {
    out.push("## How the best kernel came about", ...lineageParts(model));
  }
  const failed = model.failures;
  if (failed.length > 0) {
    out.push(
      "## What failed",
      table(
        ["status", "reason", "nodes", "example"],
        failed.map((group) => [
          group.status.replaceAll("_", " "),
          escapeMarkdown(group.code),
          String(group.count),
          `step ${group.step}: ${escapeMarkdown(group.message)}`,
        ]),
      ),
    );
  }
  if (best !== undefined) out.push("## The best kernel", fenced(best.source, run.abstraction));
  return `${out.join("\n\n")}\n`;
}
