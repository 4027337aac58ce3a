import { visible } from "../../domain/quotation.ts";
import { counted } from "../../platform/text.ts";
import { diffLines, type Hunk } from "../diff.ts";
import { durationText, figure, outcomeText } from "../operator/format.ts";
import { costCharts } from "./charts/cost.ts";
import { intervalBar, intervalScale } from "./charts/intervals.ts";
import { rooflineChart } from "./charts/roofline.ts";
import { tunableCharts } from "./charts/tunables.ts";
import { html, type Markup } from "./markup.ts";
import { OUTCOME_ORDER, OUTCOMES, type ReportModel, type ReportNode } from "./model.ts";
import { tunableTrials } from "./statistics.ts";

/** Per-workload table of the best node, beside the roofline where peaks and work are known. */
export function workloads(model: ReportModel): Markup {
  const rows = model.best?.record.stages.benchmark?.workloads ?? [];
  const chart = rooflineChart(model);
  if (rows.length === 0) return html``;
  const { baseline } = model.overview.run;
  const main = rows.map((row) => ({
    row,
    speedup: row.speedups.find((speedup) => speedup.baseline === baseline),
  }));
  const scale = intervalScale(
    main.flatMap(({ speedup }) => (speedup === undefined ? [] : [speedup])),
    190,
  );
  const table = html`<div class="wide"><table class="grid"><thead><tr><th>workload</th><th class="n">time</th><th class="n">speedup</th><th><span class="screen">95 % interval</span></th>${chart === null && html`<th class="n">other baselines</th>`}<th class="n">roofline</th></tr></thead><tbody>
${main.map(
  ({ row, speedup }) =>
    html`<tr><td><code>${row.workload}</code></td><td class="n">${durationText(row.candidate.median_ns)}</td><td class="n">${speedup === undefined ? "–" : html`<b>${figure(speedup.ratio)}×</b>`}</td><td>${speedup !== undefined && intervalBar(speedup, scale, 190)}</td>${chart === null && html`<td class="n">${row.speedups.filter((other) => other.baseline !== baseline).map((other) => html`${other.baseline} ${figure(other.ratio)}× `)}</td>`}<td class="n">${row.roofline === undefined ? "–" : `${figure(row.roofline * 100)} %`}</td></tr>`,
)}</tbody></table></div>`;
  const clock = model.best?.record.stages.benchmark;
  const how = clock === undefined ? "" : `${clock.cache} cache, clock: ${clock.clock}`;
  const left = html`<section><h2>By workload</h2><p class="sub">The best kernel over ${baseline}; ${how}.</p>${table}</section>`;
  if (chart === null) return left;
  return html`<div class="two">${left}<section><h2>Roofline</h2><p class="sub">From the baseline (hollow) up to the best kernel, against ${model.roofs?.whose}${model.roofs?.from !== undefined && ` (${model.roofs.from})`}.</p>${chart}</section></div>`;
}

/** The way to the best kernel: each node of its lineage with its gain and its reason. */
export function improvements(model: ReportModel): Markup {
  if (model.lineage.length === 0) return html``;
  let before: ReportNode | undefined;
  const items = model.lineage.map((entry) => {
    const earlier = before?.node.speedup?.ratio;
    const now = entry.node.speedup?.ratio;
    const gain =
      earlier === undefined || now === undefined || earlier <= 0
        ? ""
        : `${now >= earlier ? "+" : "−"}${figure(Math.abs(now / earlier - 1) * 100)} %`;
    const changed = before === undefined ? null : changes(before, entry);
    before = entry;
    return html`<li><span>step ${entry.node.step}</span><span class="gain">${now === undefined ? "–" : `${figure(now)}×`}</span><div>${visible(entry.node.rationale) || entry.node.operator} ${gain !== "" && html`<span class="chip ${now !== undefined && earlier !== undefined && now >= earlier ? "credited" : "uncredited"}">${gain}</span>`}${changed}</div></li>`;
  });
  return html`<section class="long"><h2>How the best kernel came about</h2><p class="sub">Its lineage from the root, with what changed at each step.</p><ol class="steps">${items}</ol></section>`;
}

function changes(before: ReportNode, after: ReportNode): Markup | null {
  const hunks = diffLines(visible(before.source), visible(after.source));
  const changed = hunks
    .filter((hunk) => hunk.kind !== "same")
    .reduce((sum, hunk) => sum + hunk.lines.length, 0);
  if (changed === 0) return null;
  return html`<details><summary>${changed} changed lines</summary>${diffBlock(hunks)}</details>`;
}

function diffBlock(hunks: readonly Hunk[]): Markup {
  const parts = hunks.map((hunk, index) => {
    if (hunk.kind === "add") return hunk.lines.map((line) => html`<span class="add">+ ${line}</span>`);
    if (hunk.kind === "del") return hunk.lines.map((line) => html`<span class="del">- ${line}</span>`);
    const head = index === 0 ? 0 : 2;
    const tail = index === hunks.length - 1 ? 0 : 2;
    if (hunk.lines.length <= head + tail + 1) return hunk.lines.map((line) => html`  ${line}\n`);
    return [
      ...hunk.lines.slice(0, head).map((line) => html`  ${line}\n`),
      html`<span class="gap">⋯ ${hunk.lines.length - head - tail} equal lines</span>`,
      ...hunk.lines.slice(hunk.lines.length - tail).map((line) => html`  ${line}\n`),
    ];
  });
  return html`<pre>${parts}</pre>`;
}

/** Best so far against what was paid: device time, tokens, cost. */
export function expenses(model: ReportModel): Markup {
  const charts = costCharts(model);
  if (charts.length === 0) return html``;
  return html`<section><h2>Speedup over cost</h2><p class="sub">The best credited so far, against what had been spent when it was recorded${model.control !== undefined && "; dashed: the control"}.</p>${
    charts.length === 1
      ? charts.map(({ chart }) => chart)
      : html`<div class="panels">${charts.map(({ chart }) => chart)}</div>`
  }</section>`;
}

/** What was tried: tunables against speedup. */
export function tried(model: ReportModel): Markup {
  const { trials, nodes } = tunableTrials(model);
  if (trials.length === 0) return html``;
  return html`<section><h2>What was tried</h2><p class="sub">Tunables of the best kernel's structure against the speedup of the ${nodes} measured nodes that share it; the bar is the best of each value.</p>${tunableCharts(trials)}</section>`;
}

export function failures(model: ReportModel): Markup {
  const groups = model.failures;
  if (groups.length === 0) return html``;
  return html`<section><h2>What failed</h2><p class="sub">By status and reason, with the first example of each.</p><div class="wide"><table class="grid"><thead><tr><th>status</th><th>reason</th><th class="n">nodes</th><th>example</th></tr></thead><tbody>${groups.map(
    (group) =>
      html`<tr${group.index !== undefined && html` data-n="${group.index}"`}><td><span class="chip ${group.outcome}">${group.status.replaceAll("_", " ")}</span></td><td><code>${group.code}</code></td><td class="n">${group.count}</td><td>step ${group.step}: ${visible(group.message)}</td></tr>`,
  )}</tbody></table></div></section>`;
}

export function bestSource(model: ReportModel): Markup {
  if (model.best === undefined) return html``;
  return html`<section class="long"><h2>The best kernel</h2><p class="sub">Step ${model.best.node.step}, sha256 <code>${model.best.node.candidate.slice(0, 16)}</code>.</p><pre><code>${visible(model.best.source)}</code></pre></section>`;
}

/** Every node as a table: the reading of the charts for those who cannot or would not see them. */
export function allNodes(model: ReportModel): Markup {
  const counts = OUTCOME_ORDER.flatMap((outcome) => {
    const count = model.nodes.filter((entry) => entry.outcome === outcome).length;
    return count === 0 ? [] : [{ outcome, count }];
  });
  return html`<section class="screen"><details id="all"><summary>All ${counted(model.nodes.length, "node")} as a table</summary>
<div class="row"><button type="button" data-show="all" aria-pressed="true">all</button>${counts.map(({ outcome, count }) => html`<button type="button" data-show="${outcome}" aria-pressed="false">${OUTCOMES[outcome].label} ${count}</button>`)}</div>
<div class="wide"><table class="grid"><thead><tr><th class="n">step</th><th>operator</th><th>verdict</th><th>result</th><th>rationale</th></tr></thead><tbody>${model.nodes.map(
    (entry, index) =>
      html`<tr data-n="${index}" data-o="${entry.outcome}"><td class="n">${entry.node.step}</td><td>${entry.node.operator}</td><td><span class="chip ${entry.outcome}">${OUTCOMES[entry.outcome].label}</span></td><td>${outcomeText(entry.node)}</td><td>${visible(entry.node.rationale.slice(0, 160))}</td></tr>`,
  )}</tbody></table></div></details></section>`;
}

/** What is needed to check the claim: device, versions, identities. */
export function proof(model: ReportModel): Markup {
  const { run } = model.overview;
  const record = model.best?.record;
  const rows: [string, string][] = [
    ["Run", run.id],
    ["Problem", `${run.problem} (sha256 ${model.problem.content_hash.slice(0, 16)})`],
    ["Fitness", `credited speedup over ${run.baseline}, geometric mean over timed workloads`],
    [
      "Policy",
      `${run.policy} ${Object.entries(run.policy_params)
        .map(([name, value]) => `${name}=${value}`)
        .join(" ")}`.trim(),
    ],
  ];
  if (record !== undefined) {
    rows.push(
      ["Device", record.device],
      ["Sandbox", record.sandbox],
      ["Evaluation", `${record.id}, ${record.created_at}`],
    );
    rows.push([
      "Versions",
      Object.entries(record.versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(", "),
    ]);
    const command = record.stages.compile?.command;
    if (command !== undefined) rows.push(["Compile command", command]);
  }
  return html`<section><h2>How to check this</h2><div class="wide"><table class="grid proof"><tbody>${rows.map(([key, value]) => html`<tr><th scope="row">${key}</th><td class="mono">${visible(value)}</td></tr>`)}</tbody></table></div></section>`;
}
