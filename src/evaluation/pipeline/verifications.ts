import type { Reason, WorkloadVerification } from "../../domain/index.ts";
import type { HostFailure, JudgeEvent, Verified, WrongAnswer } from "../native/events.ts";
import { failureReason, wrongReason } from "./reasons.ts";

const MAX_NOTES = 6;
/** Coarser arithmetic shows as an error that is a good part of the tolerance and many times the plain loop's own. */
const NOTABLE_ERROR = 0.1;
const COARSER = 50;

/** What verification found per workload, in the record's form, and what is worth a note although it passed. */
export function verifications(events: readonly JudgeEvent[]): {
  workloads: WorkloadVerification[];
  notes: Reason[];
} {
  const verified = events.filter((event): event is Verified => event.event === "verified");
  const failed = events.filter(
    (event): event is HostFailure | WrongAnswer => event.event === "host_failure" || event.event === "wrong",
  );
  const workloads = verified.map(
    (event): WorkloadVerification => ({
      workload: event.workload,
      trials: event.trials,
      passed: event.passed,
      ...(event.worst_error === null ? {} : { worst_error: event.worst_error }),
      ...(event.baseline_error === null ? {} : { baseline_error: event.baseline_error }),
      deterministic: event.deterministic,
      failures: failed
        .filter((one) => one.workload === event.workload)
        .map((one) => (one.event === "wrong" ? wrongReason(one) : failureReason(one)).reason),
    }),
  );
  return { workloads, notes: verified.flatMap(notesOn).slice(0, MAX_NOTES) };
}

function notesOn(event: Verified): Reason[] {
  const { workload, worst_error: worst, baseline_error: own } = event;
  const notes: Reason[] = [];
  if (event.passed && !event.deterministic) {
    notes.push({
      code: "nondeterministic",
      message: "two calls with the same contents differ in the last bits (within the tolerance)",
      workload,
    });
  }
  if (event.passed && worst !== null && own !== null && worst > NOTABLE_ERROR && worst > COARSER * own) {
    notes.push({
      code: "reduced_precision",
      message: `its largest error is ${worst.toFixed(2)} of the tolerance, the plain loop's ${own.toFixed(4)}: within the tolerance, but the arithmetic is coarser`,
      workload,
    });
  }
  if (event.text_bytes > 0) {
    notes.push({
      code: "output_discarded",
      message: `the candidate printed ${event.text_bytes} bytes; nothing it prints is read`,
      workload,
    });
  }
  return notes;
}
