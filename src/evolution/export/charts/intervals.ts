import type { Speedup } from "../../../domain/evaluation.ts";
import { figure } from "../../operator/format.ts";
import { html, type Markup } from "../markup.ts";
import { logarithmic, px } from "../scale.ts";

/** A scale that several interval bars share, around 1×. */
export function intervalScale(speedups: readonly Speedup[], width: number): (value: number) => number {
  const usable = speedups.filter((speedup) => speedup.low > 0 && Number.isFinite(speedup.high));
  const low = Math.min(0.8, ...usable.map((speedup) => speedup.low * 0.95));
  const high = Math.max(1.6, ...usable.map((speedup) => speedup.high * 1.08));
  const scale = logarithmic([low, high], [4, width - 4]);
  return (value) => Math.min(width - 4, Math.max(4, scale(Math.max(value, low))));
}

/** One ratio as a dot on its 95 % interval, with a line at 1×. */
export function intervalBar(
  speedup: Speedup,
  scale: (value: number) => number,
  width: number,
  height = 22,
): Markup {
  const centre = height / 2;
  return html`<svg class="interval ${speedup.credited ? "credited" : "uncredited"}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${figure(speedup.ratio)} times, 95 percent interval ${figure(speedup.low)} to ${figure(speedup.high)}"><path class="unity" d="M${px(scale(1))} 1V${height - 1}"/><path class="stem" d="M${px(scale(1))} ${centre}H${px(scale(speedup.ratio))}"/><path class="span" d="M${px(scale(speedup.low))} ${centre}H${px(scale(speedup.high))}M${px(scale(speedup.low))} ${centre - 4}v8M${px(scale(speedup.high))} ${centre - 4}v8"/><circle cx="${px(scale(speedup.ratio))}" cy="${centre}" r="4.5"/></svg>`;
}
