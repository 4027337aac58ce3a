import type { Reason, Speedup, WorkloadBenchmark } from "../../domain/index.ts";
import { LEAST_GAIN, TOO_WIDE } from "../pipeline/credit.ts";
import type { TorchEventOf } from "./events.ts";
import { flagReasons } from "./reasons.ts";

/** What one workload's measurement means, before grading and verdict. */
export function torchBenchmark(raw: TorchEventOf<"benchmarked">): {
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
    },
    reasons: flagReasons(raw),
  };
}
