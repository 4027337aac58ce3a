import { figure, outcomeText } from "../../operator/format.ts";
import { html, type Markup } from "../markup.ts";
import type { ReportModel, ReportNode } from "../model.ts";
import { linear, logarithmic, px } from "../scale.ts";
import { axes, type Frame, markPath } from "./frame.ts";
import { controlStairs, stairs } from "./stairs.ts";

const WIDE = { width: 1080, height: 400, left: 64, right: 24, top: 18 } as const;
/** Height of the strip below the plot where nodes without a measured speed stand. */
const STRIP = 26;

/**
 * Best so far as a line over steps, every node as a mark with the whiskers of its 95 % interval; the control's best so far as
 * a dashed line.
 */
export function fitnessChart(model: ReportModel): Markup {
  const measured = model.nodes.filter((entry) => usable(entry));
  const unmeasured = model.nodes.length - measured.length;
  const frame: Frame = { ...WIDE, bottom: unmeasured > 0 ? 84 : 52 };
  const ratios = measured.map((entry) => entry.node.speedup?.ratio ?? 1);
  const low = Math.min(0.9, ...ratios.map((ratio) => ratio * 0.9));
  const { control, curve } = model;
  const high = Math.max(
    1.5,
    (control?.curve.improvements.at(-1)?.node.fitness ?? 0) * 1.06,
    ...measured.map(
      (entry) => Math.min(entry.node.speedup?.high ?? 1, (entry.node.speedup?.ratio ?? 1) * 2) * 1.06,
    ),
  );
  const plotBottom = frame.height - frame.bottom;
  const isLog = high / low > 8;
  const y = isLog
    ? logarithmic([low, high], [plotBottom, frame.top], 12)
    : linear([Math.min(low, 0.5), high], [plotBottom, frame.top]);
  // Steps count from 0, evaluations from 1.
  const lastStep = Math.max(1, curve.spent.nodes - 1, (control?.curve.spent.nodes ?? 0) - 1);
  const x = linear([0, lastStep], [frame.left + 10, frame.width - frame.right - 6], 10);
  const whole = { ...x, ticks: x.ticks.filter((tick) => Number.isInteger(tick.value)) };
  const xScale = Object.assign((value: number) => x(value), { ticks: whole.ticks });
  const clampY = (value: number): number =>
    Math.min(plotBottom, Math.max(frame.top, y(Math.max(value, low * 0.5))));
  const radius = model.nodes.length > 800 ? 2.4 : model.nodes.length > 200 ? 3.2 : 4.4;

  const whiskers = measured
    .map((entry) => {
      const at = px(x(entry.node.step));
      return `M${at} ${px(clampY(entry.node.speedup?.low ?? 1))}V${px(clampY(entry.node.speedup?.high ?? 1))}`;
    })
    .join("");
  const xOfCount = (count: number): number => x(count - 1);
  const line = stairs(curve, "nodes", xOfCount, clampY);
  const first = curve.improvements[0];
  const area = first === undefined ? "" : `${line}V${px(plotBottom)}H${px(x(first.node.step))}Z`;
  const stripY = plotBottom + STRIP * 0.62 + 24;
  const marks = model.nodes.map((entry, index) => {
    const at = usable(entry) ? clampY(entry.node.speedup?.ratio ?? 1) : stripY;
    return html`<path class="mark ${entry.outcome}" data-n="${index}" d="${markPath(entry.outcome, x(entry.node.step), at, radius)}"><title>step ${entry.node.step}: ${outcomeText(entry.node)}</title></path>`;
  });
  const top = curve.improvements.at(-1)?.node;
  const summary =
    top === undefined
      ? `No node of ${model.nodes.length} was credited with a speedup.`
      : `The best speedup rose to ${figure(top.fitness)} at step ${top.step} of ${lastStep}.`;
  return html`<svg class="chart" viewBox="0 0 ${frame.width} ${frame.height}" role="img" aria-label="Speedup over steps. ${summary}">
${axes(frame, Object.assign(xScale, { ticks: [] }), y, { x: "", y: `speedup over ${model.overview.run.baseline}${isLog ? " (log)" : ""}` })}
<g class="axis" aria-hidden="true">${whole.ticks.map((tick) => html`<path class="tick" d="M${px(x(tick.value))} ${px(plotBottom)}v5"/><text x="${px(x(tick.value))}" y="${px(plotBottom + 18)}" text-anchor="middle">${tick.label}</text>`)}
${unmeasured > 0 && html`<rect class="strip" x="${frame.left}" y="${px(stripY - STRIP / 2)}" width="${frame.width - frame.left - frame.right}" height="${STRIP}" rx="6"/><text x="${frame.left - 8}" y="${px(stripY + 4)}" text-anchor="end">no speed</text>`}
<text class="axis-title" x="${px((frame.left + frame.width - frame.right) / 2)}" y="${frame.height - 6}" text-anchor="middle">step</text></g>
${y(1) <= plotBottom && html`<path class="unity" d="M${frame.left} ${px(y(1))}H${frame.width - frame.right}"/><text class="unity-label" x="${frame.width - frame.right - 4}" y="${px(y(1) - 6)}" text-anchor="end">${model.overview.run.baseline} = 1×</text>`}
<path class="best-area" d="${area}"/><path class="whiskers" d="${whiskers}"/>${controlStairs(control, "nodes", xOfCount, clampY, frame.width - frame.right)}<path class="best-line" d="${line}"/>
<g class="marks">${marks}</g>
${top !== undefined && html`<text class="best-label" x="${px(Math.min(x(top.step) + 10, frame.width - 90))}" y="${px(Math.max(clampY(top.fitness) - 12, 14))}">${figure(top.fitness)}×</text>`}
</svg>`;
}

/** Whether a node has a speed to be drawn at: it passed, or was flagged with a measured one. */
function usable(entry: ReportNode): boolean {
  return (
    entry.node.speedup !== undefined &&
    entry.outcome !== "rejected" &&
    entry.outcome !== "void" &&
    entry.node.speedup.ratio > 0
  );
}
