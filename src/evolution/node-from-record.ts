import type { EvaluationRecord, Speedup } from "../domain/evaluation.ts";
import type { Node } from "../domain/run.ts";

/** The speedup over `baseline` over all timed workloads, if it was measured. */
export function overallSpeedup(record: EvaluationRecord, baseline: string): Speedup | undefined {
  return record.speedups.find((speedup) => speedup.baseline === baseline && speedup.workload === undefined);
}

/** Fitness is the credited speedup over the run's baseline; everything else is 0. Failure is never a number. */
export function fitnessOf(record: EvaluationRecord, baseline: string): number {
  const speedup = overallSpeedup(record, baseline);
  const credited = record.verdict === "passed" && record.status === "ok" && speedup?.credited === true;
  return credited && Number.isFinite(speedup.ratio) && speedup.ratio > 0 ? speedup.ratio : 0;
}

/** Seconds that the evaluation held the device. Stages answered from a cache held nothing. */
export function deviceSeconds(record: EvaluationRecord): number {
  const { verify, benchmark, profile } = record.stages;
  if (record.cached) return 0;
  return [verify, benchmark, profile].reduce(
    (sum, stage) => sum + (stage === undefined || stage.cached ? 0 : stage.seconds),
    0,
  );
}

/** What of a node follows from its evaluation. */
export function measuredPart(
  record: EvaluationRecord,
  baseline: string,
): Pick<
  Node,
  | "candidate"
  | "evaluation"
  | "verdict"
  | "status"
  | "fitness"
  | "speedup"
  | "roofline"
  | "diagnosis"
  | "reasons"
  | "device_seconds"
> {
  const speedup = overallSpeedup(record, baseline);
  const diagnosis = record.diagnosis;
  return {
    candidate: record.candidate,
    evaluation: record.id,
    verdict: record.verdict,
    status: record.status,
    fitness: fitnessOf(record, baseline),
    ...(speedup === undefined ? {} : { speedup }),
    ...(record.roofline === undefined ? {} : { roofline: record.roofline }),
    ...(diagnosis === undefined ? {} : { diagnosis }),
    reasons: record.reasons,
    device_seconds: deviceSeconds(record),
  };
}
