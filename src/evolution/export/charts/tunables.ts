import { html, type Markup } from "../markup.ts";
import { linear, px } from "../scale.ts";

/** What was tried of one tunable: a speedup for every measured node that set it. */
export interface TunableTrials {
  readonly name: string;
  /** In the order in which the kernel declares them. */
  readonly values: readonly string[];
  readonly trials: readonly {
    readonly value: string;
    readonly ratio: number;
    readonly index: number;
    readonly outcome: string;
  }[];
  readonly best: string | undefined;
}

const WIDTH = 248;
const HEIGHT = 176;
const LEFT = 36;
const BOTTOM = 34;
const TOP = 12;

/** Small multiples: one panel a tunable, values across, speedup up, a bar at the best of each value. */
export function tunableCharts(tunables: readonly TunableTrials[]): Markup {
  return html`<div class="multiples">${tunables.map(panel)}</div>`;
}

function panel(tunable: TunableTrials): Markup {
  const ratios = tunable.trials.map((trial) => trial.ratio);
  const low = Math.min(...ratios);
  const high = Math.max(...ratios);
  // At least five percent of range: noise must not look like a landscape.
  const margin = Math.max(high * 0.05, high - low) * 0.08;
  const y = linear([Math.min(low, high * 0.95) - margin, high + margin], [HEIGHT - BOTTOM, TOP], 4);
  const step = (WIDTH - LEFT - 8) / Math.max(1, tunable.values.length);
  const x = (value: string): number => LEFT + step * (tunable.values.indexOf(value) + 0.5);
  const sparse = Math.ceil((tunable.values.length * 30) / (WIDTH - LEFT));
  const bars = tunable.values.map((value) => {
    const top = Math.max(
      0,
      ...tunable.trials.filter((trial) => trial.value === value).map((trial) => trial.ratio),
    );
    if (top === 0) return null;
    const half = Math.min(step * 0.36, 14);
    return html`<path class="top${value === tunable.best ? " chosen" : ""}" d="M${px(x(value) - half)} ${px(y(top))}h${px(half * 2)}"/>`;
  });
  const dots = tunable.trials.map((trial, index) => {
    // A steady sidewards shift keeps equal values apart.
    const shift = (((index * 0.618034) % 1) - 0.5) * Math.min(step * 0.5, 16);
    return html`<circle class="mark ${trial.outcome}" data-n="${trial.index}" cx="${px(x(trial.value) + shift)}" cy="${px(y(trial.ratio))}" r="2.6"/>`;
  });
  const labels = tunable.values.map((value, index) =>
    index % sparse === 0
      ? html`<text class="${value === tunable.best ? "chosen" : ""}" x="${px(x(value))}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${value.length > 9 ? `${value.slice(0, 8)}…` : value}</text>`
      : null,
  );
  return html`<figure><figcaption><code>${tunable.name}</code>${tunable.best !== undefined && html` best <b>${tunable.best}</b>`}</figcaption>
<svg class="chart small" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Speedup by value of ${tunable.name}; best ${tunable.best ?? "unknown"}."><g class="axis">${y.ticks.map((tick) => html`<path class="grid" d="M${LEFT} ${px(y(tick.value))}H${WIDTH - 4}"/><text x="${LEFT - 6}" y="${px(y(tick.value) + 4)}" text-anchor="end">${tick.label}</text>`)}${labels}</g>${dots}${bars}</svg></figure>`;
}
