import { html, type Markup } from "../markup.ts";
import { px, type Scale } from "../scale.ts";

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Grid, tick labels and axis titles around a plot area. */
export function axes(
  frame: Frame,
  x: Scale,
  y: Scale,
  titles: { readonly x: string; readonly y: string },
): Markup {
  const { width, height, left, right, top, bottom } = frame;
  const centreY = (top + height - bottom) / 2;
  return html`<g class="axis" aria-hidden="true">
${y.ticks.map((tick) => html`<path class="grid" d="M${px(left)} ${px(y(tick.value))}H${px(width - right)}"/><text x="${px(left - 8)}" y="${px(y(tick.value) + 4)}" text-anchor="end">${tick.label}</text>`)}
${x.ticks.map((tick) => html`<path class="tick" d="M${px(x(tick.value))} ${px(height - bottom)}v5"/><text x="${px(x(tick.value))}" y="${px(height - bottom + 19)}" text-anchor="middle">${tick.label}</text>`)}
<path class="base" d="M${px(left)} ${px(height - bottom)}H${px(width - right)}"/>
<text class="axis-title" x="${px((left + width - right) / 2)}" y="${px(height - 4)}" text-anchor="middle">${titles.x}</text>
<text class="axis-title" transform="translate(14 ${px(centreY)}) rotate(-90)" text-anchor="middle">${titles.y}</text>
</g>`;
}

/** The mark of one outcome, centred at (x, y): shapes differ so that colour is not needed to tell them apart. */
export function markPath(outcome: string, x: number, y: number, size: number): string {
  const s = size;
  switch (outcome) {
    case "credited":
    case "uncredited":
      return `M${px(x - s)} ${px(y)}a${s} ${s} 0 1 0 ${2 * s} 0a${s} ${s} 0 1 0 ${-2 * s} 0`;
    case "flagged":
      return `M${px(x)} ${px(y - s * 1.25)}l${px(s * 1.2)} ${px(s * 2.2)}h${px(-2.4 * s)}z`;
    case "rejected":
      return `M${px(x - s)} ${px(y - s)}l${px(2 * s)} ${px(2 * s)}m0 ${px(-2 * s)}l${px(-2 * s)} ${px(2 * s)}`;
    default:
      return `M${px(x - s)} ${px(y - s)}h${px(2 * s)}v${px(2 * s)}h${px(-2 * s)}z`;
  }
}
