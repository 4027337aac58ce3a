import type { Grading, Reason, Speedup, Timing, WorkloadBenchmark } from "../../domain/index.ts";
import type { Roofline } from "../../targets/index.ts";
import type { Benchmarked } from "../native/events.ts";

/** Nothing below this relative gain is claimed, however narrow the interval. */
export const LEAST_GAIN = 0.015;
/** An interval wider than this (high/low - 1) that does not exclude 1 says nothing. */
export const TOO_WIDE = 0.1;
/** A host that takes longer than the baseline's to stand ready, by this and by a share of its own time, may be working ahead. */
const ARMING_SLACK_NS = 20_000;
/** Threads and long calls are woken by the scheduler, which a busy machine may delay by some of its time slices. */
const ARMING_SLACK_BLOCKED_NS = 8_000_000;
const ARMING_SHARE = 0.5;
/** Faster than the machine's own peak by more than its measuring error: something else was measured. */
export const ROOFLINE_LIMIT = 1.15;
function timing(raw: Benchmarked["candidate"]): Timing {
  return { median_ns: raw.median_ns, p10_ns: raw.p10_ns, p90_ns: raw.p90_ns, samples: raw.samples };
}

/** What one workload's measurement means, before grading and verdict. `roof` is the least possible time, where known. */
export function workloadBenchmark(
  raw: Benchmarked,
  roof: Roofline | undefined,
): { benchmark: WorkloadBenchmark; reasons: Reason[] } {
  const floor = Math.max(raw.control_bias, raw.control_half_width ?? raw.control_bias);
  const least = 1 + Math.max(LEAST_GAIN, 3 * floor);
  const speedups = raw.baselines.map(
    (baseline): Speedup => ({
      baseline: baseline.name,
      ratio: baseline.ratio,
      low: baseline.low,
      high: baseline.high,
      credited: baseline.low >= least,
      workload: raw.workload,
    }),
  );
  const undecided = raw.baselines.every(
    (baseline) => baseline.high / baseline.low - 1 > TOO_WIDE && baseline.low <= 1 && baseline.high >= 1,
  );
  const share = roof === undefined ? undefined : (roof.seconds * 1e9) / raw.candidate.median_ns;
  const reasons: Reason[] = [];
  if (share !== undefined && share > ROOFLINE_LIMIT) {
    reasons.push({
      code: "above_roofline",
      message: `${(share * 100).toFixed(0)} % of what this machine can do (${roof?.bound} roof): the work was not done, or the problem's cost is stated too high`,
      workload: raw.workload,
    });
  }
  const rounds = Math.max(1, raw.rounds);
  if (raw.dirty_candidate / rounds > 0.5 && raw.dirty_candidate > 3 * raw.dirty_baseline) {
    reasons.push({
      code: "clock_disagreement",
      message: `the candidate's own clock and the judge's disagree in ${raw.dirty_candidate} of ${raw.rounds} calls, the baseline's in ${raw.dirty_baseline}`,
      workload: raw.workload,
    });
  }
  const arming = raw.arming_candidate_ns - raw.arming_baseline_ns;
  const slack = raw.handshake === "spin" ? ARMING_SLACK_NS : ARMING_SLACK_BLOCKED_NS;
  if (arming > Math.max(slack, ARMING_SHARE * raw.candidate.median_ns)) {
    reasons.push({
      code: "late_start",
      message: `its process stands ready ${(arming / 1000).toFixed(0)} µs later than the baseline's before every call of ${(raw.candidate.median_ns / 1000).toFixed(0)} µs: it may be computing before the clock starts`,
      workload: raw.workload,
    });
  }
  return {
    benchmark: {
      workload: raw.workload,
      candidate: timing(raw.candidate),
      baselines: Object.fromEntries(
        raw.baselines.map((baseline) => [baseline.name, timing(baseline.timing)]),
      ),
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

/**
 * Geometric mean over timed workloads, per baseline. The workloads' intervals are independent, so the half widths of the logarithms
 * add in squares. Workloads that a null candidate passes do not count; when none is left, nothing is credited.
 */
export function overallSpeedups(
  benchmarks: readonly WorkloadBenchmark[],
  grading: Grading | undefined,
  creditable: boolean,
): Speedup[] {
  const counted = benchmarks.filter((one) => grading?.degenerate_workloads.includes(one.workload) !== true);
  const used = counted.length > 0 ? counted : benchmarks;
  const names = [...new Set(used.flatMap((one) => one.speedups.map((speedup) => speedup.baseline)))];
  const floor = Math.max(0, ...used.map((one) => one.noise_floor)) / Math.sqrt(Math.max(1, used.length));
  return names.flatMap((baseline) => {
    const parts = used.flatMap((one) => one.speedups.filter((speedup) => speedup.baseline === baseline));
    if (parts.length !== used.length || parts.length === 0) return [];
    const n = parts.length;
    const mean = parts.reduce((sum, part) => sum + Math.log(part.ratio), 0) / n;
    const below = Math.sqrt(parts.reduce((sum, part) => sum + Math.log(part.ratio / part.low) ** 2, 0)) / n;
    const above = Math.sqrt(parts.reduce((sum, part) => sum + Math.log(part.high / part.ratio) ** 2, 0)) / n;
    const ratio = Math.exp(mean);
    const low = Math.exp(mean - below);
    const high = Math.exp(mean + above);
    const credited =
      creditable &&
      counted.length > 0 &&
      grading?.degenerate !== true &&
      low >= 1 + Math.max(LEAST_GAIN, 3 * floor);
    return [{ baseline, ratio, low, high, credited }];
  });
}

/** The same measurements with what may be credited: nothing on a workload that a null candidate passes, nothing without a clean pass. */
export function settledBenchmarks(
  benchmarks: readonly WorkloadBenchmark[],
  grading: Grading | undefined,
  creditable: boolean,
): WorkloadBenchmark[] {
  return benchmarks.map((one) => {
    const counts =
      creditable &&
      grading?.degenerate !== true &&
      grading?.degenerate_workloads.includes(one.workload) !== true;
    return {
      ...one,
      speedups: one.speedups.map((speedup) => ({ ...speedup, credited: speedup.credited && counts })),
    };
  });
}

/** Geometric mean of the shares of roofline. */
export function overallRoofline(benchmarks: readonly WorkloadBenchmark[]): number | undefined {
  const shares = benchmarks.flatMap((one) => (one.roofline === undefined ? [] : [one.roofline]));
  if (shares.length === 0) return undefined;
  return Math.exp(shares.reduce((sum, share) => sum + Math.log(share), 0) / shares.length);
}
