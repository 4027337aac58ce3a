import { createHash } from "node:crypto";
import { counted } from "../../platform/text.ts";
import { figure, secondsText } from "../operator/format.ts";
import { fitnessChart } from "./charts/fitness.ts";
import { markPath } from "./charts/frame.ts";
import { intervalBar, intervalScale } from "./charts/intervals.ts";
import { treeChart } from "./charts/tree.ts";
import { COMPARISON_NOTE, comparison } from "./comparison.ts";
import { pageData } from "./data.ts";
import { html, jsonForScript, type Markup, raw } from "./markup.ts";
import { OUTCOME_ORDER, OUTCOMES, type Outcome, overallSpeedups, type ReportModel } from "./model.ts";
import { SCRIPT } from "./script.ts";
import {
  allNodes,
  bestSource,
  expenses,
  failures,
  improvements,
  proof,
  tried,
  workloads,
} from "./sections.ts";
import { STYLE } from "./style.ts";

/** Hashes in the policy: even if something hostile became markup, the browser would run no script but ours. */
function policy(): string {
  const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  return `default-src 'none'; style-src ${hash(STYLE)}; script-src ${hash(SCRIPT)}; base-uri 'none'; form-action 'none'`;
}

/** The whole report as one HTML file without external resources. */
export function reportHtml(model: ReportModel): string {
  const { run } = model.overview;
  const title = `${model.problem.definition.name} on ${model.target.id}`;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy()}">
<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">
<title>${title} – KernelEvolve</title><style>${raw(STYLE)}</style></head>
<body><main>
<header><h1>${title}</h1><p class="sub">${model.target.title} · ${run.abstraction} · run <code>${run.id}</code> · ${model.generatedAt.slice(0, 16).replace("T", " ")} UTC</p></header>
${hero(model)}
${facts(model)}
${notes(model)}
<section><h2>Speedup over the search</h2><p class="sub">Every node is a mark with its 95 % interval; the line is the best credited so far${model.control !== undefined && ", the dashed one that of the control"}.</p>${against(model)}${legend(model)}${fitnessChart(model)}</section>
${expenses(model)}
<section><h2>Search graph</h2><p class="sub">From left to right by step. The thick line leads to the best kernel; dashed edges are the second parents of crossovers.<span class="screen"> Select a node for its source, changes and evaluation.</span></p>${treeChart(model)}</section>
${workloads(model)}
${improvements(model)}
${tried(model)}
${failures(model)}
${bestSource(model)}
${allNodes(model)}
${proof(model)}
</main><aside id="panel" tabindex="-1" aria-label="Node" hidden></aside><div id="tip" role="status" hidden></div>
<script type="application/json" id="data">${jsonForScript(pageData(model))}</script><script>${raw(SCRIPT)}</script>
</body></html>
`;
  return page.text;
}

function hero(model: ReportModel): Markup {
  const { best } = model;
  const speedups = overallSpeedups(model);
  const main = speedups[0];
  if (best === undefined || main === undefined) {
    return html`<section class="hero"><div><div class="big none">No credited speedup</div><p class="ci">${counted(model.overview.nodes, "node")}, ${model.overview.passed} passed.</p></div></section>`;
  }
  const scale = intervalScale(speedups, 420);
  const rows = speedups.map(
    (speedup) =>
      html`<tr><th scope="row">over ${speedup.baseline}</th><td class="plot">${intervalBar(speedup, scale, 420, 30)}</td><td><b>${figure(speedup.ratio)}×</b></td><td>&nbsp;[${figure(speedup.low)}, ${figure(speedup.high)}]</td><td>&nbsp;<span class="chip ${speedup.credited ? "credited" : "uncredited"}">${speedup.credited ? "credited" : "not credited"}</span></td></tr>`,
  );
  return html`<section class="hero"><div><div class="big">${figure(main.ratio)}<small>×</small></div><p class="ci">the speed of <b>${main.baseline}</b><br>95 % interval ${figure(main.low)} to ${figure(main.high)}</p></div>
<div class="wide"><table class="bars"><tbody>${rows}</tbody></table></div></section>`;
}

function facts(model: ReportModel): Markup {
  const { overview, best } = model;
  const { run, spent } = overview;
  const of = (bound: number | undefined, text: (value: number) => string): string =>
    bound === undefined ? "no bound" : `of ${text(bound)}`;
  const cells: [string, Markup | string, string][] = [];
  if (best !== undefined) {
    cells.push([
      "Verdict",
      html`<span class="chip ${best.node.verdict}">${best.node.verdict}</span>`,
      `sandbox ${best.record.sandbox}`,
    ]);
    if (best.node.roofline !== undefined)
      cells.push([
        "Roofline",
        `${figure(best.node.roofline * 100)} %`,
        `of ${model.roofs?.whose ?? "the machine's limit"}`,
      ]);
    cells.push(["Found at", `step ${best.node.step}`, `by ${best.node.operator}`]);
  }
  cells.push(
    ["Nodes", String(spent.nodes), `${of(run.budget.nodes, String)}, ${overview.passed} passed`],
    ["Active time", secondsText(spent.seconds), of(run.budget.seconds, secondsText)],
    ["Device time", secondsText(spent.device_seconds), of(run.budget.device_seconds, secondsText)],
    ["Search", run.policy, `${run.state}${run.stop_reason === undefined ? "" : `, ${run.stop_reason}`}`],
  );
  return html`<div class="facts">${cells.map(([key, value, small]) => html`<div><div class="k">${key}</div><div class="v">${value}</div><div class="s">${small}</div></div>`)}</div>`;
}

function notes(model: ReportModel): Markup {
  const lines: string[] = [...model.notes];
  const { best, overview, problem } = model;
  if (best?.record.sandbox === "limited")
    lines.push("The sandbox was limited: the candidates ran as restricted processes without namespaces.");
  if (problem.grading?.degenerate === true)
    lines.push("This problem is degenerate: a null candidate passes it, so no speedup is credited.");
  if (model.nodes.length < overview.nodes) {
    lines.push(
      `Shown are ${model.nodes.length} of ${counted(overview.nodes, "node")}: all improvements, the best lineage, the best of the rest and a regular sample.`,
    );
  }
  if (overview.run.state === "open") lines.push("The run is still open: this is a snapshot.");
  return html`${lines.map((line) => html`<p class="note">${line}</p>`)}`;
}

/** The run beside its control, in words. */
function against(model: ReportModel): Markup {
  const sentence = comparison(model);
  if (sentence === undefined) return html``;
  return html`<p class="against">${sentence} <span class="sub">${COMPARISON_NOTE}</span></p>`;
}

function legend(model: ReportModel): Markup {
  const counts = new Map<Outcome, number>();
  for (const entry of model.nodes) counts.set(entry.outcome, (counts.get(entry.outcome) ?? 0) + 1);
  const items = OUTCOME_ORDER.filter((outcome) => counts.has(outcome));
  return html`<ul class="legend">${items.map(
    (outcome) =>
      html`<li><svg width="14" height="14" aria-hidden="true"><path class="mark ${outcome}" d="${markPath(outcome, 7, 7, 4.4)}"/></svg>${OUTCOMES[outcome].label} ${counts.get(outcome) ?? 0} <span class="sub">(${OUTCOMES[outcome].meaning})</span></li>`,
  )}</ul>`;
}
