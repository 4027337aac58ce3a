import type {
  EvaluationRecord,
  Reason,
  Status,
  Verdict,
  WorkloadBenchmark,
  WorkloadVerification,
} from "../../domain/index.ts";
import type { JudgeEvent } from "../native/events.ts";
import { failureReason, wrongReason } from "./reasons.ts";

/** Notes inform; they never change the verdict. Every other reason on an otherwise good candidate flags it. */
export const NOTES: ReadonlySet<string> = new Set([
  "nondeterministic",
  "reduced_precision",
  "output_discarded",
  "limited_sandbox",
  "degenerate_problem",
  "degenerate_workload",
  "profile_failed",
  "too_noisy",
  "no_own_kernel",
  "baseline_missing",
]);

/** Verify and benchmark answers in order of harm: the first that is present is the status. */
const SEVERITY: readonly Status[] = [
  "infrastructure_error",
  "tampered",
  "timeout",
  "runtime_error",
  "compile_error",
  "wrong_answer",
];

const MAX_REASONS = 12;

/** The status that a set of findings makes: the most harmful of them. */
export function worstStatus(found: readonly Status[]): Status {
  return SEVERITY.find((one) => found.includes(one)) ?? "ok";
}

export interface Findings {
  readonly status: Status;
  readonly reasons: readonly Reason[];
}

/** Failures and wrong answers among the judge's events. */
export function findings(events: readonly JudgeEvent[]): Findings {
  const found = events.flatMap((event) =>
    event.event === "host_failure"
      ? [failureReason(event)]
      : event.event === "wrong"
        ? [wrongReason(event)]
        : [],
  );
  const status = worstStatus(found.map((finding) => finding.status));
  // Those that made the status come first, so that the cut never hides why.
  const ordered = [
    ...found.filter((finding) => finding.status === status),
    ...found.filter((finding) => finding.status !== status),
  ];
  return { status, reasons: ordered.map((finding) => finding.reason).slice(0, MAX_REASONS) };
}

/** Fails closed: only an explicit pass of every workload asked for is a pass; a missing answer is our failure, not the kernel's. */
export function verifyStatus(
  found: Status,
  workloads: readonly WorkloadVerification[],
  expected: number,
): Status {
  if (found !== "ok") return found;
  return workloads.length === expected && workloads.every((one) => one.passed)
    ? "ok"
    : "infrastructure_error";
}

/** A workload that the machine was too busy to time, or whose interval says nothing, makes the whole answer "too noisy". */
export function benchmarkStatus(
  found: Status,
  benchmarks: readonly WorkloadBenchmark[],
  counts: { timed: number; unmeasured: number },
): Status {
  if (found !== "ok") return found;
  if (benchmarks.length < counts.timed)
    return benchmarks.length + counts.unmeasured === counts.timed ? "too_noisy" : "infrastructure_error";
  return benchmarks.some((one) => one.outcome === "too_noisy") ? "too_noisy" : "ok";
}

/**
 * The verdict: rejected when anything failed or was wrong, flagged when something needs a look, passed otherwise.
 * An infrastructure failure says nothing about the kernel, so it is flagged, never rejected.
 */
export function verdictOf(status: Status, reasons: readonly Reason[]): Verdict {
  if (status === "infrastructure_error" || status === "unsupported") return "flagged";
  if (status !== "ok" && status !== "too_noisy") return "rejected";
  return reasons.some((reason) => !NOTES.has(reason.code)) ? "flagged" : "passed";
}

/** Whether the same request may be answered by this record later: not what depended on how busy or well equipped the machine was. */
export function isLasting(record: Pick<EvaluationRecord, "status" | "reasons">): boolean {
  const passing: readonly Status[] = ["infrastructure_error", "too_noisy", "timeout"];
  return (
    !passing.includes(record.status) && !record.reasons.some((reason) => reason.code === "profile_failed")
  );
}
