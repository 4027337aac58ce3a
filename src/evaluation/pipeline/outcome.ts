import type {
  Diagnosis,
  EvaluationRecord,
  Grading,
  Reason,
  Status,
  WorkloadBenchmark,
} from "../../domain/index.ts";
import type { DiagnosisFacts } from "../../profiling/index.ts";
import type { Roofline } from "../../targets/index.ts";
import type { VectorRemark } from "../compile/remarks.ts";
import type { Work } from "./plan.ts";

type Stages = EvaluationRecord["stages"];

/** What the stages have found so far. */
export interface Outcome {
  status: Status;
  reasons: Reason[];
  stages: { -readonly [K in keyof Stages]: Stages[K] };
  benchmarks: WorkloadBenchmark[];
  roofs: Map<string, Roofline>;
  remarks: VectorRemark[];
  grading?: Grading;
  diagnosis?: Diagnosis;
}

export function emptyOutcome(): Outcome {
  return { status: "ok", reasons: [], stages: {}, benchmarks: [], roofs: new Map(), remarks: [] };
}

/** The timed workload on which the candidate takes longest, among those measured. */
export function slowestWorkload(outcome: Outcome): string | undefined {
  return outcome.benchmarks.toSorted((a, b) => b.candidate.median_ns - a.candidate.median_ns)[0]?.workload;
}

/** What a diagnosis can be made from without a profiler. */
export function diagnosisFacts(work: Work, outcome: Outcome, uuid: string): DiagnosisFacts {
  const benchmark = outcome.benchmarks.find((one) => one.workload === uuid);
  const roof = outcome.roofs.get(uuid);
  return {
    roofline: benchmark?.roofline,
    bound: roof?.bound,
    level: roof?.level,
    intensity: roof?.intensity,
    medianNs: benchmark?.candidate.median_ns,
    vectorisedLoops: outcome.remarks.filter((remark) => remark.vectorised).length,
    missed: outcome.remarks.filter((remark) => !remark.vectorised),
    usesIntrinsics: /\b_mm\d*_|vector_size|__builtin_ia32_|#include\s*<\w*intrin/.test(work.source),
  };
}
