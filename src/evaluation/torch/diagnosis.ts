import type { Diagnosis, WorkloadBenchmark } from "../../domain/index.ts";
import type { TorchEventOf } from "./events.ts";

/** Below this much time of a call an operator's dispatch and launch are most of it. */
const LAUNCH_BOUND_NS = 30_000;

/** What the untimed call and the timings tell without a profiler: who does the work, and whether launches dominate. */
export function torchDiagnosis(
  dispatched: TorchEventOf<"dispatched"> | undefined,
  benchmarks: readonly WorkloadBenchmark[],
): Diagnosis | undefined {
  const slowest = benchmarks.toSorted((a, b) => b.candidate.median_ns - a.candidate.median_ns)[0];
  if (dispatched === undefined || slowest === undefined) return undefined;
  const operators = Object.entries(dispatched.torch_operators);
  const calls = operators.reduce((sum, [, times]) => sum + times, 0);
  const kernels = Object.values(dispatched.kernels).reduce((sum, one) => sum + one.count, 0);
  const named = operators.slice(0, 4).map(([name, times]) => `${name} ${times}`);
  const time = `${(slowest.candidate.median_ns / 1000).toFixed(1)} µs a call on ${slowest.workload}`;
  const launches = Math.max(calls, kernels);
  if (launches > 1 && slowest.candidate.median_ns / launches < LAUNCH_BOUND_NS) {
    return {
      bottleneck: "launch",
      evidence: `${launches} operators or kernels in ${time}: ${named.join(", ") || "own kernels"}`,
      advice: [
        "fuse what is launched one after the other into one kernel",
        "avoid intermediate tensors: each costs an allocation, a write and a read",
      ],
    };
  }
  const own = dispatched.own_kernels.length;
  return {
    bottleneck: "unknown",
    evidence: `${time}; ${own} kernels of its own, ${calls} torch operators${named.length === 0 ? "" : ` (${named.join(", ")})`}`,
    advice: ["profile it: kernel_profile names the bottleneck"],
  };
}
