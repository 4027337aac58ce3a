import { figure } from "../../operator/format.ts";
import type { Curve, Expense } from "../curve.ts";
import { html, type Markup } from "../markup.ts";
import { px } from "../scale.ts";

/** The best so far as a staircase over one expense, to the end of the run. Empty when nothing was credited. */
export function stairs(
  { improvements, spent }: Curve,
  expense: Expense,
  x: (value: number) => number,
  y: (value: number) => number,
): string {
  const path = improvements
    .map((one, index) => {
      const [across, up] = [px(x(one[expense])), px(y(one.node.fitness))];
      return index === 0 ? `M${across} ${up}` : `H${across}V${up}`;
    })
    .join("");
  return path === "" ? "" : `${path}H${px(x(spent[expense]))}`;
}

/** The control's staircase, dashed, with its best at the end. Nothing where there is no control. */
export function controlStairs(
  control: { readonly curve: Curve } | undefined,
  expense: Expense,
  x: (value: number) => number,
  y: (value: number) => number,
  right: number,
): Markup | null {
  if (control === undefined) return null;
  const top = control.curve.improvements.at(-1)?.node.fitness;
  if (top === undefined) return null;
  const end = Math.min(x(control.curve.spent[expense]), right);
  return html`<path class="control-line" d="${stairs(control.curve, expense, x, y)}"/><text class="control-label" x="${px(end)}" y="${px(y(top) + 15)}" text-anchor="end">control ${figure(top)}×</text>`;
}
