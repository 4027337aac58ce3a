import type { RunOverview } from "../../domain/services.ts";
import { counted } from "../../platform/text.ts";
import { figure, secondsText, speedupText } from "../operator/format.ts";
import type { ReportModel } from "./model.ts";

/** One side in words: what it found, and what it spent on that. */
function side(name: string, overview: RunOverview): string {
  const { best, spent } = overview;
  const found = best?.speedup === undefined ? "no credited speedup" : speedupText(best.speedup);
  const costs = [
    counted(spent.nodes, "evaluation"),
    `${secondsText(spent.device_seconds)} of device time`,
    ...(spent.tokens > 0 ? [`${spent.tokens} tokens`] : []),
    ...(spent.cost > 0 ? [`cost ${figure(spent.cost)}`] : []),
  ];
  return `${name}: ${found} after ${costs.join(", ")}`;
}

/** Which is ahead, said only where the intervals of the two best kernels let it be said. */
function judgement(run: RunOverview, control: RunOverview): string {
  const [ours, theirs] = [run.best?.speedup, control.best?.speedup];
  if (ours === undefined || theirs === undefined) {
    if (ours === undefined && theirs === undefined) return "neither found a credited speedup";
    return ours === undefined ? "only the control found one" : "only the search found one";
  }
  if (ours.low > theirs.high) return "the intervals do not overlap, the search is ahead";
  if (theirs.low > ours.high) return "the intervals do not overlap, the control is ahead";
  return "the intervals overlap, so this pair shows no difference";
}

/**
 * The run against its control in one sentence: both results with their intervals and what each spent. Undefined where there
 * is no control.
 */
export function comparison({ overview, control }: ReportModel): string | undefined {
  if (control === undefined) return undefined;
  const ran = side(`Search (${overview.run.policy})`, overview);
  const held = side(
    `control (${control.overview.run.policy}, no feedback, same seed kernels)`,
    control.overview,
  );
  const unfinished =
    control.overview.run.state === "open"
      ? `; the control has not spent its budget of ${control.overview.run.budget.nodes ?? overview.spent.nodes} evaluations`
      : "";
  return `${ran}; ${held}; ${judgement(overview, control.overview)}${unfinished}.`;
}

/** What the sentence does not say, for whoever reads it. */
export const COMPARISON_NOTE =
  "The intervals are those of the measurements; how much either search varies from seed to seed one pair of runs does not tell.";
