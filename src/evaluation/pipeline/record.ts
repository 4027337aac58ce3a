import type {
  BenchmarkStage,
  CompileStage,
  EvaluationRecord,
  Reason,
  Status,
  Verdict,
  VerifyStage,
  WorkloadVerification,
} from "../../domain/index.ts";
import type { HostFailure, JudgeEvent, WrongAnswer } from "../native/events.ts";
import { failureReason, wrongReason } from "./reasons.ts";

/** Notes inform; they never change the verdict. */
export const NOTES: ReadonlySet<string> = new Set([
  "nondeterministic",
  "reduced_precision",
  "output_discarded",
  "limited_sandbox",
  "degenerate_problem",
  "profile_failed",
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
  const status = SEVERITY.find((one) => found.some((finding) => finding.status === one)) ?? "ok";
  return { status, reasons: found.map((finding) => finding.reason).slice(0, 12) };
}

/** What verification found per workload, in the record's form. */
export function verifications(events: readonly JudgeEvent[]): {
  workloads: WorkloadVerification[];
  notes: Reason[];
} {
  const bad = (workload: string): (HostFailure | WrongAnswer)[] =>
    events.filter(
      (event): event is HostFailure | WrongAnswer =>
        (event.event === "host_failure" || event.event === "wrong") && event.workload === workload,
    );
  const notes: Reason[] = [];
  const workloads = events.flatMap((event): WorkloadVerification[] => {
    if (event.event !== "verified") return [];
    const failures = bad(event.workload).map(
      (one) => (one.event === "wrong" ? wrongReason(one) : failureReason(one)).reason,
    );
    if (!event.deterministic && event.passed) {
      notes.push({
        code: "nondeterministic",
        message: "two calls with the same contents differ in the last bits (within the tolerance)",
        workload: event.workload,
      });
    }
    const worst = event.worst_error;
    const own = event.baseline_error;
    if (event.passed && worst !== null && own !== null && worst > 0.1 && worst > 50 * own) {
      notes.push({
        code: "reduced_precision",
        message: `its largest error is ${worst.toFixed(2)} of the tolerance, the plain loop's ${own.toFixed(4)}: within the tolerance, but the arithmetic is coarser`,
        workload: event.workload,
      });
    }
    if (event.text_bytes > 0) {
      notes.push({
        code: "output_discarded",
        message: `the candidate printed ${event.text_bytes} bytes; nothing it prints is read`,
        workload: event.workload,
      });
    }
    return [
      {
        workload: event.workload,
        trials: event.trials,
        passed: event.passed,
        ...(worst === null ? {} : { worst_error: worst }),
        ...(own === null ? {} : { baseline_error: own }),
        deterministic: event.deterministic,
        failures,
      },
    ];
  });
  return { workloads, notes: notes.slice(0, 6) };
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

export type Stages = EvaluationRecord["stages"];
export type { BenchmarkStage, CompileStage, VerifyStage };
