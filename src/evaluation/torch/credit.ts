import type { Reason, Speedup, WorkloadBenchmark } from "../../domain/index.ts";
import type { Roofline } from "../../targets/index.ts";
import { LEAST_GAIN, ROOFLINE_LIMIT, TOO_WIDE } from "../pipeline/credit.ts";
import type { TorchEventOf } from "./events.ts";
import { flagReasons } from "./reasons.ts";

/** What one workload's measurement means, before grading and verdict. */
export function torchBenchmark(
  raw: TorchEventOf<"benchmarked">,
  roof?: Roofline,
): {
  benchmark: WorkloadBenchmark;
  reasons: Reason[];
} {
  const floor = Math.max(raw.control_bias, raw.control_half_width ?? raw.control_bias);
  const least = 1 + Math.max(LEAST_GAIN, 3 * floor);
  const speedups = raw.baselines.map(
    ({ name, ratio, low, high }): Speedup => ({
      baseline: name,
      ratio,
      low,
      high,
      credited: low >= least,
      workload: raw.workload,
    }),
  );
  const undecided = speedups.every(({ low, high }) => high / low - 1 > TOO_WIDE && low <= 1 && high >= 1);
  const share = roof === undefined ? undefined : (roof.seconds * 1e9) / raw.candidate.median_ns;
  const reasons = flagReasons(raw);
  if (share !== undefined && share > ROOFLINE_LIMIT)
    reasons.push({
      code: "above_roofline",
      message: `${(share * 100).toFixed(0)} % of what this device can do (${roof?.bound} roof): the work was not done, or the problem's cost is stated too high`,
      workload: raw.workload,
    });
  return {
    benchmark: {
      workload: raw.workload,
      candidate: raw.candidate,
      baselines: Object.fromEntries(raw.baselines.map(({ name, timing }) => [name, timing])),
      speedups,
      noise_floor: floor,
      pairs: raw.pairs,
      pairs_rejected: raw.rejected,
      outcome: undecided ? "too_noisy" : raw.resolved ? "resolved" : "budget",
      ...(share === undefined ? {} : { roofline: share }),
    },
    reasons,
  };
}
