import { figure } from "../../operator/format.ts";
import type { Expense } from "../curve.ts";
import { html, type Markup } from "../markup.ts";
import type { ReportModel } from "../model.ts";
import { linear, logarithmic, px } from "../scale.ts";
import { axes, type Frame } from "./frame.ts";
import { controlStairs, stairs } from "./stairs.ts";

const WIDE: Frame = { width: 1080, height: 300, left: 64, right: 24, top: 22, bottom: 52 };
const NARROW: Frame = { ...WIDE, width: 530 };

/** What a run is paid in, in the order of the panels, with the title of the axis. */
const EXPENSES: readonly (readonly [Expense, string])[] = [
  ["device_seconds", "seconds of device time"],
  ["tokens", "tokens of models, in and out"],
  ["cost", "cost of models"],
];

/**
 * Best so far over device time, and over tokens and cost where models reported them; one panel each, with the control's
 * curve dashed. Empty when nothing was credited: there is no curve then.
 */
export function costCharts(model: ReportModel): { readonly expense: Expense; readonly chart: Markup }[] {
  const { curve, control } = model;
  if (curve.improvements.length + (control?.curve.improvements.length ?? 0) === 0) return [];
  const paid = EXPENSES.filter(
    ([expense]) => curve.spent[expense] + (control?.curve.spent[expense] ?? 0) > 0,
  );
  const frame = paid.length > 1 ? NARROW : WIDE;
  return paid.map(([expense, title]) => ({ expense, chart: costChart(model, expense, title, frame) }));
}

function costChart(model: ReportModel, expense: Expense, title: string, frame: Frame): Markup {
  const { curve, control } = model;
  const { baseline } = model.overview.run;
  const fitness = [curve, ...(control === undefined ? [] : [control.curve])].flatMap(({ improvements }) =>
    improvements.map(({ node }) => node.fitness),
  );
  const [low, high] = [Math.min(1, ...fitness), Math.max(1.5, ...fitness) * 1.08];
  const bottom = frame.height - frame.bottom;
  const isLog = high / low > 8;
  const y = isLog
    ? logarithmic([low * 0.9, high], [bottom, frame.top], 8)
    : linear([Math.min(low, 0.5), high], [bottom, frame.top], 5);
  const most = Math.max(curve.spent[expense], control?.curve.spent[expense] ?? 0);
  const right = frame.width - frame.right;
  const x = linear([0, most], [frame.left + 4, right - 6], frame === WIDE ? 10 : 5);
  const top = curve.improvements.at(-1);
  const reached =
    top === undefined
      ? "The run was credited with no speedup"
      : `The best speedup, ${figure(top.node.fitness)}, was reached after ${figure(top[expense])} of ${figure(curve.spent[expense])} ${title}`;
  return html`<svg class="chart" viewBox="0 0 ${frame.width} ${frame.height}" role="img" aria-label="Best speedup over ${title}. ${reached}.">
${axes(frame, x, y, { x: title, y: `speedup over ${baseline}${isLog ? " (log)" : ""}` })}
<path class="unity" d="M${frame.left} ${px(y(1))}H${right}"/>
${controlStairs(control, expense, x, y, right)}<path class="best-line" d="${stairs(curve, expense, x, y)}"/>
${top !== undefined && html`<text class="best-label" x="${px(Math.min(x(top[expense]) + 8, right - 60))}" y="${px(Math.max(y(top.node.fitness) - 8, 14))}">${figure(top.node.fitness)}×</text>`}
</svg>`;
}
