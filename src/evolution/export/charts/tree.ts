import { outcomeText } from "../../operator/format.ts";
import { html, type Markup } from "../markup.ts";
import type { ReportModel } from "../model.ts";
import { px } from "../scale.ts";
import { markPath } from "./frame.ts";
import { layout } from "./layout.ts";

const LANE = 22;
const MARGIN = 26;

/**
 * The search graph: one column a step, the best lineage on a straight thick line, first parents as solid edges and the
 * second parents of crossovers as dashed ones. Wide runs scroll sideways.
 */
export function treeChart(model: ReportModel): Markup {
  const { placed, lowest, highest } = layout(model.nodes, model.lineage);
  const count = Math.max(1, placed.length);
  const pitch = Math.max(count > 1200 ? 5 : 7, Math.min(110, 990 / Math.max(1, count - 1)));
  const width = Math.ceil((count - 1) * pitch + 2 * MARGIN);
  const height = (highest - lowest) * LANE + 2 * MARGIN + 22;
  const X = (column: number): number => MARGIN + column * pitch;
  const Y = (lane: number): number => MARGIN + (lane - lowest) * LANE;
  const at = new Map(placed.map((place) => [place.entry.node.id, place]));
  const best = new Set(model.lineage.map((entry) => entry.node.id));
  let edges = "";
  let lineage = "";
  let crossings = "";
  for (const { entry, column, lane } of placed) {
    for (const [index, id] of entry.node.parents.entries()) {
      const parent = at.get(id);
      if (parent === undefined) continue;
      const d = edge(X(parent.column), Y(parent.lane), X(column), Y(lane));
      if (index === 1) crossings += d;
      else if (best.has(id) && best.has(entry.node.id)) lineage += d;
      else edges += d;
    }
  }
  const top = Math.max(0, ...model.nodes.map((entry) => entry.node.fitness));
  const marks = placed.map(({ entry, column, lane }, index) => {
    const share = top > 0 ? entry.node.fitness / top : 0;
    const size = (pitch < 8 ? 2.2 : 3.2) + share * (pitch < 8 ? 1.8 : 3.2);
    const isBest = entry.node.id === model.best?.node.id;
    return html`<path class="mark ${entry.outcome}${isBest ? " champion" : ""}" data-n="${index}" data-x="${px(X(column))}" data-y="${px(Y(lane))}" d="${markPath(entry.outcome, X(column), Y(lane), Math.round(size * 10) / 10)}"><title>step ${entry.node.step}, ${entry.node.operator}: ${outcomeText(entry.node)}</title></path>`;
  });
  const stride = Math.max(1, Math.ceil(60 / pitch));
  const ticks = placed.filter((_, index) => index % stride === 0);
  return html`<div class="scroll" tabindex="0" role="application" aria-label="Search graph of ${placed.length} nodes. Arrow keys: left to the parent, right to the best child, up and down to the neighbouring steps; Enter shows the node." id="tree">
<svg class="tree" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" aria-hidden="true">
<g class="axis">${ticks.map(({ entry, column }) => html`<path class="grid" d="M${px(X(column))} ${MARGIN - 12}V${height - 30}"/><text x="${px(X(column))}" y="${height - 12}" text-anchor="middle">${entry.node.step}</text>`)}</g>
<path class="edges" d="${edges}"/><path class="crossings" d="${crossings}"/><path class="lineage" d="${lineage}"/><path class="trail" id="trail" d=""/>
<g class="marks">${marks}</g></svg></div>`;
}

/** An edge that leaves its parent along the lane and bends into the child's lane. */
function edge(x0: number, y0: number, x1: number, y1: number): string {
  if (y0 === y1) return `M${px(x0)} ${px(y0)}H${px(x1)}`;
  const bend = Math.min(x1 - x0, 26);
  const turn = x1 - bend;
  return `M${px(x0)} ${px(y0)}C${px(x0 + bend * 0.5)} ${px(y1)} ${px(Math.min(turn + bend * 0.3, x1))} ${px(y1)} ${px(x1)} ${px(y1)}`;
}
