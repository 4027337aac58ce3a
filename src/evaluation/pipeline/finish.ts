import { randomUUID } from "node:crypto";
import { release } from "node:os";
import type { EvaluationRecord, Grading, Reason, WorkloadBenchmark } from "../../domain/index.ts";
import { sha256 } from "../../platform/hash.ts";
import { probeSandbox } from "../../platform/sandbox-probe.ts";
import { diagnose } from "../../profiling/index.ts";
import { deviceName } from "../../targets/index.ts";
import { compilerVersion } from "../compile/compiler.ts";
import { harnessHash } from "../native/programs.ts";
import { overallRoofline, overallSpeedups, settledBenchmarks } from "./credit.ts";
import { diagnosisFacts, type Outcome, slowestWorkload } from "./outcome.ts";
import type { Work } from "./plan.ts";
import { verdictOf } from "./verdict.ts";

/** What grading says about the workloads that were timed. */
export function gradingNotes(
  grading: Grading | undefined,
  benchmarks: readonly WorkloadBenchmark[],
): Reason[] {
  if (grading === undefined) return [];
  if (grading.degenerate) {
    const passing = grading.nulls.filter((one) => one.passed).map((one) => one.candidate);
    const who = passing.length === 0 ? "" : ` (${passing.join(", ")})`;
    return [
      {
        code: "degenerate_problem",
        message: `a candidate that computes nothing passes this problem${who}: no speedup on it is credited`,
      },
    ];
  }
  return grading.degenerate_workloads
    .filter((uuid) => benchmarks.some((one) => one.workload === uuid))
    .map((uuid) => ({
      code: "degenerate_workload",
      message: "a candidate that computes nothing passes this workload: its speedup does not count",
      workload: uuid,
    }));
}

/** The record of what was found out: verdict, credit and diagnosis follow from the outcome here and nowhere else. */
export async function finishRecord(work: Work, outcome: Outcome, created: Date): Promise<EvaluationRecord> {
  const probe = await probeSandbox();
  const limited: Reason = {
    code: "limited_sandbox",
    message: `the candidate ran with limits but not in a sandbox: ${probe.detail}${probe.fix === undefined ? "" : ` (${probe.fix})`}`,
  };
  const reasons = [
    ...outcome.reasons,
    ...gradingNotes(outcome.grading, outcome.benchmarks),
    ...(probe.kind === "limited" ? [limited] : []),
  ];
  const verdict = verdictOf(outcome.status, reasons);
  const creditable =
    verdict === "passed" && outcome.status === "ok" && outcome.stages.verify?.status === "ok";
  const benchmarks = settledBenchmarks(outcome.benchmarks, outcome.grading, creditable);
  const { benchmark } = outcome.stages;
  const share = overallRoofline(benchmarks);
  const slowest = slowestWorkload(outcome);
  const diagnosis =
    outcome.diagnosis ??
    (slowest === undefined ? undefined : diagnose(diagnosisFacts(work, outcome, slowest)));
  return {
    id: `eval_${randomUUID()}`,
    candidate: sha256(work.source),
    problem: work.problem.id,
    target: work.spec.id,
    abstraction: work.abstraction,
    verdict,
    status: outcome.status,
    reasons,
    speedups: overallSpeedups(benchmarks, outcome.grading, creditable),
    ...(share === undefined ? {} : { roofline: share }),
    stages: {
      ...outcome.stages,
      ...(benchmark === undefined ? {} : { benchmark: { ...benchmark, workloads: benchmarks } }),
    },
    ...(diagnosis === undefined ? {} : { diagnosis }),
    sandbox: probe.kind,
    device: deviceName(work.machine),
    versions: {
      compiler: await compilerVersion(work.toolchain.program),
      harness: harnessHash().slice(0, 12),
      kernel: release(),
      flags: work.flags.join(" "),
    },
    created_at: created.toISOString(),
    cached: false,
  };
}
