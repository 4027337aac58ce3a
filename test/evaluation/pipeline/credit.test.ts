import { describe, expect, it } from "vitest";
import type { Grading } from "../../../src/domain/index.ts";
import {
  LEAST_GAIN,
  overallSpeedups,
  ROOFLINE_LIMIT,
  settledBenchmarks,
  workloadBenchmark,
} from "../../../src/evaluation/pipeline/credit.ts";
import type { Roofline } from "../../../src/targets/index.ts";
import { measured } from "./events.ts";

const roof = (seconds: number): Roofline => ({
  seconds,
  bound: "memory",
  intensity: 1,
  ridge: 4,
  peak_flops: 1e11,
  peak_bandwidth: 3e10,
  level: "DRAM",
});
const timing = { median_ns: 1e6, p10_ns: 9e5, p90_ns: 1.1e6, samples: 100 };
const ratio = (low: number, high: number) => ({
  baselines: [{ name: "reference", timing, ratio: Math.sqrt(low * high), low, high }],
});
const codes = (change: Parameters<typeof measured>[0], least?: Roofline): string[] =>
  workloadBenchmark(measured(change), least).reasons.map((reason) => reason.code);
const credited = (change: Parameters<typeof measured>[0]): boolean | undefined =>
  workloadBenchmark(measured(change), undefined).benchmark.speedups[0]?.credited;

describe("credit for one workload", () => {
  it("needs the whole interval above the least gain", () => {
    expect(credited(ratio(1 + LEAST_GAIN + 0.001, 1.2))).toBe(true);
    expect(credited(ratio(1 + LEAST_GAIN - 0.001, 3))).toBe(false);
    expect(credited(ratio(0.9, 1.1))).toBe(false);
  });

  it("needs more where the A/A control differs more", () => {
    expect(credited({ ...ratio(1.05, 1.1), control_bias: 0.02 })).toBe(false);
    expect(credited({ ...ratio(1.07, 1.1), control_bias: 0.02 })).toBe(true);
    expect(credited({ ...ratio(1.07, 1.1), control_half_width: 0.05 })).toBe(false);
  });

  it("a wide interval around 1 says nothing; a wide one far from 1 does", () => {
    const outcome = (low: number, high: number): string =>
      workloadBenchmark(measured(ratio(low, high)), undefined).benchmark.outcome;
    expect(outcome(0.8, 1.3)).toBe("too_noisy");
    expect(outcome(0.97, 1.03)).toBe("resolved");
    expect(outcome(2, 3)).toBe("resolved");
  });
});

describe("what needs a look", () => {
  it("faster than the machine can be", () => {
    expect(codes({}, roof((ROOFLINE_LIMIT + 0.01) * 1e-3))).toEqual(["above_roofline"]);
    expect(codes({}, roof((ROOFLINE_LIMIT - 0.01) * 1e-3))).toEqual([]);
  });

  it("late to stand ready: some microseconds for a spinning process, time slices for one that sleeps", () => {
    expect(codes({ arming_candidate_ns: 600_000 })).toEqual(["late_start"]);
    expect(codes({ arming_candidate_ns: 400_000 })).toEqual([]);
    expect(codes({ arming_candidate_ns: 3_000_000, handshake: "block" })).toEqual([]);
    expect(codes({ arming_candidate_ns: 9_000_000, handshake: "block" })).toEqual(["late_start"]);
  });

  it("a clock of its own that disagrees with the judge's, when the baseline's does not", () => {
    expect(codes({ dirty_candidate: 80 })).toEqual(["clock_disagreement"]);
    expect(codes({ dirty_candidate: 80, dirty_baseline: 70 })).toEqual([]);
    expect(codes({ dirty_candidate: 20 })).toEqual([]);
  });
});

describe("over all workloads", () => {
  const benchmarks = [
    workloadBenchmark(measured({ workload: "a", ...ratio(1.9, 2.1) }), undefined).benchmark,
    workloadBenchmark(measured({ workload: "b", ...ratio(7.9, 8.1) }), undefined).benchmark,
  ];
  const grading = (change: Partial<Grading>): Grading => ({
    degenerate: false,
    nulls: [],
    degenerate_workloads: [],
    graded_at: "2026-01-01T00:00:00Z",
    ...change,
  });

  it("is the geometric mean, its interval narrower than the widest part", () => {
    const [overall] = overallSpeedups(benchmarks, undefined, true);
    expect(overall?.ratio).toBeCloseTo(Math.sqrt(Math.sqrt(1.9 * 2.1) * Math.sqrt(7.9 * 8.1)), 6);
    expect((overall?.high ?? 0) / (overall?.low ?? 1)).toBeLessThan(2.1 / 1.9);
    expect(overall?.credited).toBe(true);
  });

  it("leaves out what a null candidate passes, and credits nothing when nothing is left", () => {
    const [left] = overallSpeedups(benchmarks, grading({ degenerate_workloads: ["b"] }), true);
    expect(left?.ratio).toBeCloseTo(Math.sqrt(1.9 * 2.1), 6);
    const [none] = overallSpeedups(benchmarks, grading({ degenerate_workloads: ["a", "b"] }), true);
    expect(none?.credited).toBe(false);
    expect(overallSpeedups(benchmarks, grading({ degenerate: true }), true)[0]?.credited).toBe(false);
  });

  it("credits nothing without a clean pass, on no workload either", () => {
    expect(overallSpeedups(benchmarks, undefined, false)[0]?.credited).toBe(false);
    const settled = settledBenchmarks(benchmarks, undefined, false);
    expect(settled.flatMap((one) => one.speedups.map((speedup) => speedup.credited))).toEqual([false, false]);
  });

  it("answers no overall figure for a baseline that is missing on one workload", () => {
    const [first, second] = benchmarks;
    if (first === undefined || second === undefined) throw new Error("two workloads");
    expect(overallSpeedups([first, { ...second, speedups: [] }], undefined, true)).toEqual([]);
  });
});
