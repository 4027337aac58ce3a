import { durationText, figure, outcomeText, secondsText, speedupText } from "../operator/format.ts";
import { visible } from "../operator/quote.ts";
import { overallSpeedups, type ReportModel } from "./model.ts";
import { failureGroups } from "./statistics.ts";

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

/** The report as Markdown: the same facts as the page, without its pictures. */
export function reportMarkdown(model: ReportModel): string {
  const { overview, best, problem, target } = model;
  const { run, spent } = overview;
  const out: string[] = [`# ${problem.definition.name} on ${target.id}`];
  const main = overallSpeedups(model);
  out.push(
    best === undefined || main.length === 0
      ? `No node was credited with a speedup (${overview.nodes} nodes, ${overview.passed} passed).`
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
    out.push(
      "## How the best kernel came about",
      model.lineage
        .map(
          (entry) =>
            `- step ${entry.node.step}, ${entry.node.operator}: ${outcomeText(entry.node)} — ${escapeMarkdown(entry.node.rationale)}`,
        )
        .join("\n"),
    );
  }
  const failed = failureGroups(model.nodes);
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
