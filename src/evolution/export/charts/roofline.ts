import { figure } from "../../operator/format.ts";
import { html, type Markup } from "../markup.ts";
import type { ReportModel } from "../model.ts";
import { logarithmic, px } from "../scale.ts";
import { axes, type Frame } from "./frame.ts";

const frame: Frame = { width: 530, height: 400, left: 62, right: 18, top: 20, bottom: 56 };

interface Point {
  readonly workload: string;
  readonly intensity: number;
  /** GFLOP/s of the best node and of the baseline. */
  readonly best: number;
  readonly baseline: number | undefined;
}

/**
 * Log-log roofline of the best node's timed workloads: the highest and the lowest rate of the problem's data types as flat
 * roofs, each memory level's bandwidth as a slope, an arrow from the baseline up to the best. Null when peaks or work are not
 * known.
 */
export function rooflineChart(model: ReportModel): Markup | null {
  const points = pointsOf(model);
  if (model.roofs === undefined || points.length === 0) return null;
  const { flops, bandwidth: levels, whose } = model.roofs;
  const roofs = [flops[0], flops.length > 1 ? flops.at(-1) : undefined].filter((roof) => roof !== undefined);
  const peak = (roofs[0]?.value ?? 0) / 1e9;
  const slowest = Math.min(...levels.map(({ value }) => value)) / 1e9;
  const intensities = points.map((point) => point.intensity);
  const lowX = 10 ** Math.floor(Math.log10(Math.min(...intensities, (peak / slowest) * 0.02)));
  const highX = 10 ** Math.ceil(Math.log10(Math.max(...intensities, (peak / slowest) * 4)));
  const speeds = points.flatMap((point) => [point.best, point.baseline ?? point.best]);
  const lowY = 10 ** Math.floor(Math.log10(Math.min(...speeds, peak * 0.05)));
  const highY = Math.max(peak, ...speeds) * 1.9;
  const x = logarithmic([lowX, highX], [frame.left, frame.width - frame.right], 6);
  const y = logarithmic([lowY, highY], [frame.height - frame.bottom, frame.top], 6);
  const right = frame.width - frame.right;

  const slopes = levels.map(({ name, value }, rank) => {
    const bandwidth = value / 1e9;
    const from = Math.max(lowX, lowY / bandwidth);
    const to = Math.min(highX, peak / bandwidth);
    if (from >= to) return null;
    // Lines of caches lie close together: each label starts a little further along.
    const labelAt = Math.min(from * 1.25 * 3.4 ** (rank % 3), to * 0.3);
    const angle = (Math.atan2(y(bandwidth * to) - y(bandwidth * from), x(to) - x(from)) * 180) / Math.PI;
    return html`<path class="roof" d="M${px(x(from))} ${px(y(bandwidth * from))}L${px(x(to))} ${px(y(bandwidth * to))}"/><text class="roof-label" transform="translate(${px(x(labelAt))} ${px(y(bandwidth * labelAt) - 5)}) rotate(${px(angle)})">${name} ${figure(bandwidth)} GB/s</text>`;
  });
  const fastest = Math.max(...levels.map(({ value }) => value)) / 1e9;
  const flat = roofs.map(({ name, value: rate }) => {
    const value = rate / 1e9;
    if (value < lowY) return null;
    return html`<path class="roof" d="M${px(x(Math.max(lowX, value / fastest)))} ${px(y(value))}H${px(right)}"/><text class="roof-label" x="${px(right - 4)}" y="${px(y(value) - 6)}" text-anchor="end">${name} ${figure(value)} GFLOP/s</text>`;
  });
  const marks = points.map((point) => {
    const at = px(x(point.intensity));
    const from = point.baseline;
    const title = `${point.workload}: ${figure(point.best)} GFLOP/s at ${figure(point.intensity)} FLOP/byte`;
    return html`<g class="reach">${from !== undefined && html`<path class="rise" d="M${at} ${px(y(from))}V${px(y(point.best))}"/><circle class="from" cx="${at}" cy="${px(y(from))}" r="3.6"/>`}<circle class="to" cx="${at}" cy="${px(y(point.best))}" r="5"/><title>${title}</title></g>`;
  });
  return html`<svg class="chart" viewBox="0 0 ${frame.width} ${frame.height}" role="img" aria-label="Roofline: ${points.length} workloads of the best kernel against ${whose}.">
${axes(frame, x, y, { x: "FLOP per byte of compulsory traffic", y: "GFLOP/s" })}
${slopes}${flat}${marks}</svg>`;
}

function pointsOf(model: ReportModel): Point[] {
  const { baseline } = model.overview.run;
  return (model.best?.record.stages.benchmark?.workloads ?? []).flatMap((entry) => {
    const cost = model.costs.get(entry.workload);
    if (cost === undefined || !(cost.flops > 0) || !(cost.bytes > 0) || !(entry.candidate.median_ns > 0))
      return [];
    const before = entry.baselines[baseline]?.median_ns;
    return [
      {
        workload: entry.workload,
        intensity: cost.flops / cost.bytes,
        best: cost.flops / entry.candidate.median_ns,
        baseline: before === undefined || before <= 0 ? undefined : cost.flops / before,
      },
    ];
  });
}
